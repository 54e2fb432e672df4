/*
 * gl_busy calibrate MS              how many rounds make a frame that lasts so long here, and what
 * the host's clock has more than the device's; nobody else must use the device meanwhile gl_busy
 * run ROUNDS SECONDS FILE   draws such frames one after the other, two of them under way, and says
 * how many (rate.h); FILE: when each was where (busy.h) SIGTERM ends it early, FILE is written all
 * the same. When the device is lost it says when, and ends with status 3.
 */
/* pkg: egl gl */
#include "tests/programs/busy.h"
#include "tests/programs/gl_common.h"
#include "tests/programs/rate.h"

#define DEPTH 2u
#define TRIES 10u

static const char vertex[] = "#version 130\n"
                             "void main() {\n"
                             "    vec2 at = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 4.0 - 1.0;\n"
                             "    gl_Position = vec4(at, 0.0, 1.0);\n"
                             "}\n";
/* Rounds are instances, each over the whole surface: a loop as long as that is more than some
 * drivers run. */
static const char fragment[] = "#version 130\n"
                               "out vec4 color;\n"
                               "void main() {\n"
                               "    float x = gl_FragCoord.x * 0.001;\n"
                               "    for (int i = 0; i < 16; i++)\n"
                               "        x = fract(x * 3.7 + 0.1);\n"
                               "    color = vec4(x, x, x, 1.0);\n"
                               "}\n";

static struct busy *records;
static GLuint stamp[DEPTH][2];
static GLsync fence[DEPTH];

/* Showing a frame is what tells that the device is lost (EGL_CONTEXT_LOST, 0x300e). */
static void lost(void)
{
    eglSwapBuffers(the_display, the_surface);
    printf("lost 0x%x at %.3f\n", eglGetError(), (double)busy_now() * 1e-9);
    exit(3);
}

static void prepare(void)
{
    const char *version;

    start(DESKTOP_COMPAT);
    version = (const char *)glGetString(GL_VERSION);
    if (!version || atof(version) < 3.3) {
        fprintf(stderr, "OpenGL %s: timer queries and instances need 3.3\n",
                version ? version : "without a version");
        exit(1);
    }
    records = busy_records();
    glUseProgram(program(vertex, fragment));
    glDisable(GL_DEPTH_TEST);
    glGenQueries(2 * DEPTH, stamp[0]);
}

static void frame_send(unsigned n, GLsizei rounds)
{
    records[n].sent = busy_now();
    glQueryCounter(stamp[n % DEPTH][0], GL_TIMESTAMP);
    glDrawArraysInstanced(GL_TRIANGLES, 0, 3, rounds);
    glQueryCounter(stamp[n % DEPTH][1], GL_TIMESTAMP);
    fence[n % DEPTH] = glFenceSync(GL_SYNC_GPU_COMMANDS_COMPLETE, 0);
    glFlush();
}

static void frame_complete(unsigned n)
{
    GLuint64 at[2] = {0};
    GLenum r = glClientWaitSync(fence[n % DEPTH], GL_SYNC_FLUSH_COMMANDS_BIT, 60000000000u);

    glDeleteSync(fence[n % DEPTH]);
    records[n].complete = busy_now();
    for (unsigned i = 0; i < 2; i++)
        glGetQueryObjectui64v(stamp[n % DEPTH][i], GL_QUERY_RESULT, &at[i]);
    if (r == GL_WAIT_FAILED || r == GL_TIMEOUT_EXPIRED || glGetError() || !at[1])
        lost();
    records[n].begin = (int64_t)at[0];
    records[n].end = (int64_t)at[1];
}

static double shortest(GLsizei rounds, unsigned tries)
{
    double best = 1e18;

    for (unsigned i = 0; i < tries; i++) {
        frame_send(i, rounds);
        frame_complete(i);
        double took = (double)(records[i].complete - records[i].sent);
        best = took < best ? took : best;
    }
    return best;
}

static int calibrate(const char *ms)
{
    GLsizei rounds = 1;
    double took = 0, base, want = atof(ms) * 1e6;

    for (; took < 1e8 && rounds < 1 << 24; rounds *= 2)
        took = shortest(rounds, 1);
    took = shortest(rounds, 2);
    base = shortest(1, TRIES);
    printf("offset %lld\n", (long long)busy_offset(records, TRIES));
    printf("rounds %s %.0f\n", ms, want > base ? 1 + (want - base) / (took - base) * rounds : 1);
    return 0;
}

static unsigned run(GLsizei rounds, double seconds)
{
    struct rate rate = rate_begin(seconds);
    unsigned sent = 0, done = 0;

    do {
        if (sent - done == DEPTH) {
            frame_complete(done++);
            rate_round(&rate);
        }
        frame_send(sent++, rounds);
    } while (!rate_over(&rate) && !busy_stopped && sent < BUSY_MAX);
    for (; done < sent; done++)
        frame_complete(done);
    return sent;
}

int main(int argc, char **argv)
{
    bool is_run = argc == 5 && !strcmp(argv[1], "run");

    if (!is_run && (argc != 3 || strcmp(argv[1], "calibrate"))) {
        fprintf(stderr, "usage: gl_busy calibrate MS | run ROUNDS SECONDS FILE\n");
        return 2;
    }
    prepare();
    if (!is_run)
        return calibrate(argv[2]);
    unsigned count = run(atoi(argv[2]), atof(argv[3]));
    busy_write(argv[4], records, count);
    return 0;
}

/*
 * gl_bench [--budget SECONDS] [NAME...]: what OpenGL costs without a window, one JSON line per
 * measure: draws, uploads, reading back, an idle glFinish, and pixels that keep the device busy.
 * Runs directly on a device or as a guest. Without a NAME all measures run. Each gets the same part
 * of the budget (else 1 s). XG_TEST_EGL says where it draws (tests/programs/egl_common.h).
 */
/* pkg: egl gl */
#include "bench/programs/samples.h"
#include "tests/programs/gl_common.h"

enum { EDGE = 1024, CHUNK = 1 << 20, PIXELS = EDGE * EDGE * 4 };

static double share = 1; /* seconds for each measure */
static uint8_t *memory;  /* as large as a picture */
static GLuint plain, other, heavy, picture, texture[2], buffer;

/* How many times a second `round` can be called, in groups that end with glFinish. The first group
 * is not measured. */
static double rounds_rate(void (*round)(int i), int group)
{
    int n = 0;

    for (int i = 0; i < group; i++)
        round(i);
    glFinish();
    uint64_t start = xg_now_ns();
    do {
        for (int i = 0; i < group; i++)
            round(n + i);
        glFinish();
        n += group;
    } while (seconds_since(start) < share);
    return n / seconds_since(start);
}

/* --- draws ------------------------------------------------------------------------------------ */

static void draw_small(int i)
{
    glUniform4f(0, (float)(i % 16) / 16 - 0.5f, (float)(i / 16 % 16) / 16 - 0.5f, 0.02f, 1);
    glDrawArrays(GL_TRIANGLES, 0, 12);
}

static void draw_switching(int i)
{
    glUseProgram(i % 2 ? other : plain);
    glBindTexture(GL_TEXTURE_2D, texture[i / 2 % 2]);
    draw_small(i);
}

static void draws_measure(void)
{
    glUseProgram(plain);
    result_print("gl_draws", "1/s", rounds_rate(draw_small, 2000));
}

static void switching_measure(void)
{
    result_print("gl_draws_switching", "1/s", rounds_rate(draw_switching, 2000));
    glUseProgram(plain);
}

static void draw_heavy(int i)
{
    glUniform4f(0, 0, 0, 4, (float)i);
    glDrawArrays(GL_TRIANGLES, 0, 3);
}

/* Only the device works here; a lower rate as a guest is what remoting costs. */
static void busy_measure(void)
{
    glUseProgram(heavy);
    result_print("gl_busy_frames", "1/s", rounds_rate(draw_heavy, 4));
}

/* --- data ------------------------------------------------------------------------------------- */

static void send_buffer(int i)
{
    memory[i % CHUNK]++;
    glBufferSubData(GL_ARRAY_BUFFER, 0, CHUNK, memory);
}

static void send_map(int i)
{
    void *to = glMapBufferRange(GL_ARRAY_BUFFER, 0, CHUNK,
                                GL_MAP_WRITE_BIT | GL_MAP_INVALIDATE_BUFFER_BIT);

    memory[i % CHUNK]++;
    if (to)
        memcpy(to, memory, CHUNK);
    glUnmapBuffer(GL_ARRAY_BUFFER);
}

static void send_texture(int i)
{
    memory[i % PIXELS]++;
    glTexSubImage2D(GL_TEXTURE_2D, 0, 0, 0, EDGE, EDGE, GL_RGBA, GL_UNSIGNED_BYTE, memory);
}

static void read_memory(int i)
{
    (void)i;
    glReadPixels(0, 0, EDGE, EDGE, GL_RGBA, GL_UNSIGNED_BYTE, memory);
}

static void read_buffer(int i)
{
    (void)i;
    glReadPixels(0, 0, EDGE, EDGE, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
    const void *from = glMapBufferRange(GL_PIXEL_PACK_BUFFER, 0, PIXELS, GL_MAP_READ_BIT);
    if (from)
        memcpy(memory, from, PIXELS);
    glUnmapBuffer(GL_PIXEL_PACK_BUFFER);
}

static void uploads_measure(void)
{
    GLuint b;

    glGenBuffers(1, &b);
    glBindBuffer(GL_ARRAY_BUFFER, b);
    glBufferData(GL_ARRAY_BUFFER, CHUNK, NULL, GL_STREAM_DRAW);
    result_print("gl_buffer_upload", "MB/s", rounds_rate(send_buffer, 16) * CHUNK / 1e6);
    result_print("gl_map_upload", "MB/s", rounds_rate(send_map, 16) * CHUNK / 1e6);
    glBindBuffer(GL_ARRAY_BUFFER, buffer);
    glDeleteBuffers(1, &b);
    glBindTexture(GL_TEXTURE_2D, picture);
    result_print("gl_texture_upload", "MB/s", rounds_rate(send_texture, 4) * PIXELS / 1e6);
}

static void readback_measure(void)
{
    GLuint b;

    result_print("gl_readback", "MB/s", rounds_rate(read_memory, 4) * PIXELS / 1e6);
    glGenBuffers(1, &b);
    glBindBuffer(GL_PIXEL_PACK_BUFFER, b);
    glBufferData(GL_PIXEL_PACK_BUFFER, PIXELS, NULL, GL_STREAM_READ);
    result_print("gl_readback_buffer", "MB/s", rounds_rate(read_buffer, 4) * PIXELS / 1e6);
    glBindBuffer(GL_PIXEL_PACK_BUFFER, 0);
    glDeleteBuffers(1, &b);
}

static void finish_measure(void)
{
    struct samples s = {0};
    uint64_t start = xg_now_ns();

    while (s.count < 20000 && (s.count < 100 || seconds_since(start) < share)) {
        samples_begin(&s);
        glFinish();
        samples_end(&s);
    }
    samples_print(&s, "gl_idle_finish");
}

/* --- the scene of all measures ---------------------------------------------------------------- */

#define VERTEX                                                                                     \
    "#version 430 core\n"                                                                          \
    "layout(location = 0) uniform vec4 at;\n"                                                      \
    "layout(location = 0) in vec2 corner;\n"                                                       \
    "out vec2 c;\n"                                                                                \
    "void main() { c = corner; gl_Position = vec4(corner * at.z + at.xy, 0, 1); }\n"
#define FRAGMENT(body)                                                                             \
    "#version 430 core\n"                                                                          \
    "layout(location = 0) uniform vec4 at;\n"                                                      \
    "uniform sampler2D t; in vec2 c; out vec4 o;\n"                                                \
    "void main() { " body " }\n"

static void scene_make(void)
{
    static const float corner[24] = {-1, -1, 1, -1, 0, 1, -1, 1, 1, 1, 0, -1,
                                     -1, 0,  1, 0,  0, 1, 0,  0, 1, 1, 0, -1};
    GLuint vao, frame, target;

    start(DESKTOP_CORE);
    plain = program(VERTEX, FRAGMENT("o = vec4(c, 0.5, 1) + texture(t, c) * 0.1;"));
    other = program(VERTEX, FRAGMENT("o = vec4(0.5, c, 1) * texture(t, c.yx);"));
    heavy = program(
        VERTEX, FRAGMENT("vec2 z = c; for (int i = 0; i < 200; i++)"
                         "    z = vec2(z.x * z.x - z.y * z.y, 2.0 * z.x * z.y) + c + at.w * 1e-6;"
                         "o = vec4(fract(z), 0, 1);"));
    glGenVertexArrays(1, &vao);
    glBindVertexArray(vao);
    glGenBuffers(1, &buffer);
    glBindBuffer(GL_ARRAY_BUFFER, buffer);
    glBufferData(GL_ARRAY_BUFFER, sizeof(corner), corner, GL_STATIC_DRAW);
    glVertexAttribPointer(0, 2, GL_FLOAT, GL_FALSE, 0, NULL);
    glEnableVertexAttribArray(0);
    glGenTextures(1, &target);
    glGenTextures(1, &picture);
    glGenTextures(2, texture);
    const GLuint all[] = {target, picture, texture[0], texture[1]};
    for (int i = 0; i < 4; i++) {
        glBindTexture(GL_TEXTURE_2D, all[i]);
        glTexStorage2D(GL_TEXTURE_2D, 1, GL_RGBA8, EDGE, EDGE);
        glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, GL_NEAREST);
    }
    glGenFramebuffers(1, &frame);
    glBindFramebuffer(GL_FRAMEBUFFER, frame);
    glFramebufferTexture2D(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_TEXTURE_2D, target, 0);
    glViewport(0, 0, EDGE, EDGE);
    memory = calloc(1, PIXELS);
    if (!memory || glCheckFramebufferStatus(GL_FRAMEBUFFER) != GL_FRAMEBUFFER_COMPLETE ||
        glGetError()) {
        fprintf(stderr, "gl_bench: the scene cannot be made\n");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } measures[] = {{"draws", draws_measure},     {"switching", switching_measure},
                    {"uploads", uploads_measure}, {"readback", readback_measure},
                    {"finish", finish_measure},   {"busy", busy_measure}};
    int first = 1;

    if (argc > 2 && strcmp(argv[1], "--budget") == 0) {
        share = atof(argv[2]) / 10; /* there are 9 measures, and the start */
        first = 3;
    }
    scene_make();
    for (unsigned i = 0; i < XG_ARRAY_LEN(measures); i++) {
        bool wanted = argc == first;
        for (int k = first; k < argc; k++)
            wanted |= strcmp(argv[k], measures[i].name) == 0;
        if (wanted)
            measures[i].run();
    }
    if (glGetError()) {
        fprintf(stderr, "gl_bench: OpenGL has an error\n");
        return 1;
    }
    return 0;
}

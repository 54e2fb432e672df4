/* gl_frames COUNT [FILE]: pictures that turn, one after the other, COUNT of them (0: without end), eight different ones; prints a hash
 * of each, and "lost" when the device is lost. FILE: the last one's bytes. pkg: egl gl */
#include "tests/programs/gl_common.h"

static void draw(unsigned frame)
{
    glClearColor(0.1f, 0.2f, 0.1f * (float)(frame % 8), 1);
    glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT);
    glEnable(GL_DEPTH_TEST);
    glMatrixMode(GL_MODELVIEW);
    glLoadIdentity();
    glRotatef(45.0f * (float)(frame % 8), 0, 0, 1);
    for (int i = 0; i < 20; i++) {
        float z = (float)i / 20 - 0.5f, s = 1 - (float)i / 25;
        glBegin(GL_TRIANGLES);
        glColor3f(1, 0, 0.05f * (float)i);
        glVertex3f(-s, -s, z);
        glColor3f(0, 1, 0);
        glVertex3f(s, -s, -z);
        glColor3f(0.05f * (float)i, 0, 1);
        glVertex3f(0, s, z);
        glEnd();
    }
}

int main(int argc, char **argv)
{
    unsigned count = argc > 1 ? (unsigned)atoi(argv[1]) : 1;

    start(DESKTOP_COMPAT);
    for (unsigned i = 0; !count || i < count; i++) {
        draw(i);
        glReadPixels(0, 0, SIZE, SIZE, GL_RGBA, GL_UNSIGNED_BYTE, the_pixels);
        if (!eglSwapBuffers(the_display, the_surface)) {
            printf("lost: 0x%x\n", eglGetError());
            return 3;
        }
        printf("frame %u %016llx\n", i, (unsigned long long)hash(the_pixels, sizeof(the_pixels)));
        fflush(stdout);
    }
    if (argc > 2) {
        FILE *f = fopen(argv[2], "wb");
        if (!f || fwrite(the_pixels, sizeof(the_pixels), 1, f) != 1 || fclose(f))
            give_up(argv[2]);
    }
    return 0;
}

/* Pictures that turn: eight different ones. */
#ifndef XG_TESTS_GL_TURNING_H
#define XG_TESTS_GL_TURNING_H

#include "tests/programs/gl_common.h"

#define TURNING 8u

static inline void turning_draw(unsigned frame)
{
    glClearColor(0.1f, 0.2f, 0.1f * (float)(frame % TURNING), 1);
    glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT);
    glEnable(GL_DEPTH_TEST);
    glMatrixMode(GL_MODELVIEW);
    glLoadIdentity();
    glRotatef(45.0f * (float)(frame % TURNING), 0, 0, 1);
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

/* Draws it and shows it; the hash of its pixels, which are in the_pixels. 0: the device is lost. */
static inline uint64_t turning_frame(unsigned frame)
{
    turning_draw(frame);
    glReadPixels(0, 0, SIZE, SIZE, GL_RGBA, GL_UNSIGNED_BYTE, the_pixels);
    if (!eglSwapBuffers(the_display, the_surface))
        return 0;
    return hash(the_pixels, sizeof(the_pixels));
}

#endif

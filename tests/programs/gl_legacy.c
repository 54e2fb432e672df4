/* OpenGL 1.x as old programs use it: immediate mode, lists, arrays, pixels. */
/* pkg: gl egl */
#include "tests/programs/gl_common.h"

#include <time.h>

static void clear(void)
{
    glClearColor(0.1f, 0.2f, 0.3f, 1);
    glClear(GL_COLOR_BUFFER_BIT | GL_DEPTH_BUFFER_BIT | GL_STENCIL_BUFFER_BIT);
}

static void triangle(void)
{
    const struct timespec pause = {0, 3000000};

    glBegin(GL_TRIANGLES);
    glColor3f(1, 0, 0);
    glVertex2f(-0.8f, -0.8f);
    glColor3ub(0, 255, 0);
    glVertex2d(0.8, -0.8);
    nanosleep(&pause, NULL); /* who replays this has nothing to do meanwhile */
    glColor4f(0, 0, 1, 0.5f);
    glVertex3f(0, 0.8f, 0);
    glEnd();
}

static void immediate(void)
{
    clear();
    triangle();
    show("immediate");
    glMatrixMode(GL_PROJECTION);
    glLoadIdentity();
    glFrustum(-1, 1, -1, 1, 1, 10);
    glMatrixMode(GL_MODELVIEW);
    glPushMatrix();
    glTranslatef(0.1f, 0, -2);
    glRotatef(30, 0, 1, 0.5f);
    clear();
    triangle();
    show("matrices");
    show_float("modelview", GL_MODELVIEW_MATRIX, 16);
    show_int("matrix mode", GL_MATRIX_MODE, 1);
    show_int("stack depth", GL_MODELVIEW_STACK_DEPTH, 1);
    glPopMatrix();
    glMatrixMode(GL_PROJECTION);
    glLoadIdentity();
    glMatrixMode(GL_MODELVIEW);
    show_float("current color", GL_CURRENT_COLOR, 4);
}

static void lists(void)
{
    static const GLfloat quad[] = {-0.5f, -0.5f, 0.5f, -0.5f, 0.5f, 0.5f, -0.5f, 0.5f};
    static const GLubyte calls[] = {0, 1, 0};
    GLuint base = glGenLists(3);

    printf("lists %d %d\n", glIsList(base), glIsList(base + 7));
    glNewList(base, GL_COMPILE);
    glRotatef(10, 0, 0, 1);
    triangle();
    glEndList();
    glNewList(base + 1, GL_COMPILE);
    glEnable(GL_BLEND);
    glBlendFunc(GL_SRC_ALPHA, GL_ONE);
    glColor4f(1, 1, 0, 0.5f);
    glVertexPointer(2, GL_FLOAT, 0, quad);
    glEnableClientState(GL_VERTEX_ARRAY);
    glDrawArrays(GL_QUADS, 0, 4);
    glDisableClientState(GL_VERTEX_ARRAY);
    glEndList();
    printf("blend before %d\n", glIsEnabled(GL_BLEND));
    clear();
    glListBase(base);
    glCallLists(3, GL_UNSIGNED_BYTE, calls);
    show("lists");
    printf("blend after %d\n", glIsEnabled(GL_BLEND));
    show_int("blend source", GL_BLEND_SRC, 1);
    show_int("list base minus", GL_LIST_INDEX, 1);
    glLoadIdentity();
    glDisable(GL_BLEND);
    glDeleteLists(base, 3);
    printf("deleted %d\n", glIsList(base));
}

static void arrays(void)
{
    static const struct {
        GLfloat position[3];
        GLubyte color[4];
    } v[] = {{{-0.9f, -0.9f, 0}, {255, 0, 0, 255}},
             {{0.9f, -0.9f, 0}, {0, 255, 0, 255}},
             {{0.9f, 0.9f, 0}, {0, 0, 255, 255}},
             {{-0.9f, 0.9f, 0}, {255, 255, 0, 255}},
             {{0, 0, 0}, {255, 255, 255, 255}}};
    static const GLushort index[] = {0, 1, 4, 1, 2, 4, 2, 3, 4};
    static const GLubyte small[] = {3, 0, 4};
    static GLfloat inter[6 * 6];
    void *pointer;

    clear();
    glEnableClientState(GL_VERTEX_ARRAY);
    glEnableClientState(GL_COLOR_ARRAY);
    glVertexPointer(3, GL_FLOAT, sizeof(v[0]), v[0].position);
    glColorPointer(4, GL_UNSIGNED_BYTE, sizeof(v[0]), v[0].color);
    glDrawArrays(GL_TRIANGLES, 0, 0); /* draws nothing, and must leave the arrays as they are */
    glDrawArrays(GL_TRIANGLES, 1, 3);
    show("arrays");
    clear();
    glDrawElements(GL_TRIANGLES, 9, GL_UNSIGNED_SHORT, index);
    glDrawRangeElements(GL_LINE_LOOP, 0, 4, 3, GL_UNSIGNED_BYTE, small);
    show("elements");
    glGetPointerv(GL_VERTEX_ARRAY_POINTER, &pointer);
    printf("pointer %d\n", pointer == v);
    show_int("array stride", GL_VERTEX_ARRAY_STRIDE, 1);
    show_int("color size", GL_COLOR_ARRAY_SIZE, 1);
    glPushClientAttrib(GL_CLIENT_ALL_ATTRIB_BITS);
    glDisableClientState(GL_COLOR_ARRAY);
    glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
    clear();
    glColor3f(1, 0, 1);
    glBegin(GL_TRIANGLES);
    for (int i = 0; i < 3; i++)
        glArrayElement(i);
    glEnd();
    show("array element");
    /* The restart index leads nowhere, and begins another strip. */
    glEnableClientState(GL_PRIMITIVE_RESTART_NV);
    glPrimitiveRestartIndex(0xfffffff);
    clear();
    glBegin(GL_LINE_STRIP);
    for (int i = 0; i < 5; i++)
        glArrayElement(i == 2 ? 0xfffffff : i - (i > 2));
    glEnd();
    show("array element, restart");
    glDisableClientState(GL_PRIMITIVE_RESTART_NV);
    for (int i = 0; i < 6; i++) {
        inter[i * 6] = (float)(i % 2);
        inter[i * 6 + 1] = 0.5f;
        inter[i * 6 + 2] = (float)i / 6;
        inter[i * 6 + 3] = i % 2 ? 0.7f : -0.7f;
        inter[i * 6 + 4] = (float)i / 3 - 1;
    }
    glInterleavedArrays(GL_C3F_V3F, 0, inter);
    clear();
    glDrawArrays(GL_TRIANGLE_STRIP, 0, 6);
    show("interleaved");
    glPopClientAttrib();
    show_int("alignment", GL_UNPACK_ALIGNMENT, 1);
    printf("color array %d\n", glIsEnabled(GL_COLOR_ARRAY));
    /* Mesa 25 draws with the colours from before glPopClientAttrib until an array is switched. */
    glDisableClientState(GL_COLOR_ARRAY);
    glEnableClientState(GL_COLOR_ARRAY);
    clear();
    glDrawElements(GL_TRIANGLES, 9, GL_UNSIGNED_SHORT, index);
    show("restored");
    glDisableClientState(GL_VERTEX_ARRAY);
    glDisableClientState(GL_COLOR_ARRAY);
}

static void buffers(void)
{
    static GLfloat big[3 * 4000];
    static GLuint index[4000];
    GLuint b[2];
    GLfloat *map, back[6] = {0};
    GLint size = 0;

    for (int i = 0; i < 4000; i++) {
        big[3 * i] = (float)(i % 63) / 32 - 1;
        big[3 * i + 1] = (float)(i / 63) / 32 - 1;
        index[i] = (GLuint)((i * 7) % 4000);
    }
    glGenBuffers(2, b);
    glBindBuffer(GL_ARRAY_BUFFER, b[0]);
    glBufferData(GL_ARRAY_BUFFER, sizeof(big), big, GL_STATIC_DRAW);
    glBindBuffer(GL_ELEMENT_ARRAY_BUFFER, b[1]);
    glBufferData(GL_ELEMENT_ARRAY_BUFFER, sizeof(index), index, GL_STATIC_DRAW);
    glVertexPointer(3, GL_FLOAT, 0, NULL);
    glEnableClientState(GL_VERTEX_ARRAY);
    clear();
    glColor3f(1, 1, 1);
    glDrawElements(GL_POINTS, 2000, GL_UNSIGNED_INT, (void *)(100 * sizeof(GLuint)));
    show("buffers");
    glBindBuffer(GL_ARRAY_BUFFER, 0); /* indices in a buffer, vertices in memory */
    glVertexPointer(3, GL_FLOAT, 0, big);
    clear();
    glColor3f(1, 1, 0);
    glDrawElements(GL_POINTS, 1000, GL_UNSIGNED_INT, (void *)4);
    show("mixed");
    glBindBuffer(GL_ELEMENT_ARRAY_BUFFER, 0); /* the other way round */
    glBindBuffer(GL_ARRAY_BUFFER, b[0]);
    glVertexPointer(3, GL_FLOAT, 0, NULL);
    clear();
    glDrawElements(GL_POINTS, 500, GL_UNSIGNED_INT, index);
    show("mixed too");
    map = glMapBuffer(GL_ARRAY_BUFFER, GL_WRITE_ONLY);
    for (int i = 0; map && i < 300; i++)
        map[3 * i + 1] = 0.25f;
    printf("unmap %d\n", glUnmapBuffer(GL_ARRAY_BUFFER));
    map = glMapBuffer(GL_ARRAY_BUFFER, GL_READ_ONLY);
    printf("map %g %g %g\n", (double)map[4], (double)map[3 * 299 + 1], (double)map[3 * 300 + 1]);
    glUnmapBuffer(GL_ARRAY_BUFFER);
    clear();
    glDrawArrays(GL_POINTS, 0, 400);
    show("mapped");
    glBufferSubData(GL_ARRAY_BUFFER, 12, 12, big);
    glGetBufferSubData(GL_ARRAY_BUFFER, 0, sizeof(back), back);
    printf("sub data %016llx\n", (unsigned long long)hash(back, sizeof(back)));
    glGetBufferParameteriv(GL_ARRAY_BUFFER, GL_BUFFER_SIZE, &size);
    printf("buffer size %d is %d %d\n", size, glIsBuffer(b[0]), glIsBuffer(4711));
    glDisableClientState(GL_VERTEX_ARRAY);
    glDeleteBuffers(2, b);
}

static void textures(void)
{
    static GLubyte texels[64 * 64 * 4], back[64 * 64 * 4];
    static GLushort packed[32 * 32];
    GLuint t[3];
    GLint v = 0;

    for (int i = 0; i < 64 * 64 * 4; i++)
        texels[i] = (GLubyte)(i * 7 + i / 256);
    for (int i = 0; i < 32 * 32; i++)
        packed[i] = (GLushort)(i * 61);
    glGenTextures(2, t);
    t[2] = 900; /* nobody made this name */
    glEnable(GL_TEXTURE_2D);
    for (int i = 0; i < 3; i++) {
        glBindTexture(GL_TEXTURE_2D, t[i]);
        glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, i ? GL_LINEAR : GL_NEAREST);
        glTexParameterf(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, GL_NEAREST);
    }
    glBindTexture(GL_TEXTURE_2D, t[0]);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 64, 64, 0, GL_RGBA, GL_UNSIGNED_BYTE, texels);
    glPixelStorei(GL_UNPACK_ROW_LENGTH, 64);
    glPixelStorei(GL_UNPACK_SKIP_PIXELS, 8);
    glPixelStorei(GL_UNPACK_SKIP_ROWS, 3);
    glTexSubImage2D(GL_TEXTURE_2D, 0, 10, 20, 16, 8, GL_BGRA, GL_UNSIGNED_BYTE, texels);
    glPixelStorei(GL_UNPACK_ROW_LENGTH, 0);
    glPixelStorei(GL_UNPACK_SKIP_PIXELS, 0);
    glPixelStorei(GL_UNPACK_SKIP_ROWS, 0);
    glBindTexture(GL_TEXTURE_2D, t[1]);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGB, 32, 32, 0, GL_RGB, GL_UNSIGNED_SHORT_5_6_5, packed);
    glBindTexture(GL_TEXTURE_2D, t[2]);
    glPixelStorei(GL_UNPACK_ALIGNMENT, 1);
    glTexImage2D(GL_TEXTURE_2D, 0, GL_LUMINANCE, 31, 17, 0, GL_LUMINANCE, GL_UNSIGNED_BYTE, texels);
    glPixelStorei(GL_UNPACK_ALIGNMENT, 4);
    for (int i = 0; i < 3; i++) {
        char name[32];
        glBindTexture(GL_TEXTURE_2D, t[i]);
        clear();
        glColor3f(1, 1, 1);
        glBegin(GL_QUADS);
        for (int k = 0; k < 4; k++) {
            glTexCoord2f(k == 1 || k == 2, k >= 2);
            glVertex2f(k == 1 || k == 2 ? 0.9f : -0.9f, k >= 2 ? 0.9f : -0.9f);
        }
        glEnd();
        snprintf(name, sizeof(name), "texture %d", i);
        show(name);
    }
    show_int("bound texture is the third", GL_TEXTURE_BINDING_2D, 1);
    glBindTexture(GL_TEXTURE_2D, t[0]);
    glPixelStorei(GL_PACK_ROW_LENGTH, 64);
    glGetTexImage(GL_TEXTURE_2D, 0, GL_RGBA, GL_UNSIGNED_BYTE, back);
    glPixelStorei(GL_PACK_ROW_LENGTH, 0);
    printf("texture back %016llx\n", (unsigned long long)hash(back, sizeof(back)));
    glGetTexLevelParameteriv(GL_TEXTURE_2D, 0, GL_TEXTURE_WIDTH, &v);
    printf("texture width %d\n", v);
    glGetTexParameteriv(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, &v);
    printf("filter 0x%x\n", v);
    glCopyTexSubImage2D(GL_TEXTURE_2D, 0, 0, 0, 5, 5, 40, 40);
    glGetTexImage(GL_TEXTURE_2D, 0, GL_RGBA, GL_UNSIGNED_BYTE, back);
    printf("texture copied %016llx\n", (unsigned long long)hash(back, sizeof(back)));
    printf("is texture %d %d %d\n", glIsTexture(t[0]), glIsTexture(t[2]), glIsTexture(77777));
    glDeleteTextures(3, t);
    printf("is texture %d\n", glIsTexture(t[0]));
    glDisable(GL_TEXTURE_2D);
}

static void pixels(void)
{
    static GLubyte bitmap[8 * 4], image[40 * 40 * 3], back[SIZE * 37];
    static GLfloat depth[16 * 16];
    GLubyte stipple[128], stipple_back[128] = {0};

    for (unsigned i = 0; i < sizeof(bitmap); i++)
        bitmap[i] = (GLubyte)(i * 37);
    for (unsigned i = 0; i < sizeof(image); i++)
        image[i] = (GLubyte)(i * 3);
    for (unsigned i = 0; i < sizeof(stipple); i++)
        stipple[i] = (GLubyte)(i * 73);
    clear();
    glColor3f(1, 1, 1);
    glRasterPos2f(-0.5f, -0.5f);
    glDrawPixels(40, 40, GL_RGB, GL_UNSIGNED_BYTE, image);
    glBitmap(27, 8, 0, 0, 10, 12, bitmap);
    glBitmap(27, 8, 0, 0, 0, 0, bitmap);
    glPixelZoom(2, 1.5f);
    glDrawPixels(10, 10, GL_BGR, GL_UNSIGNED_BYTE, image);
    glPixelZoom(1, 1);
    glCopyPixels(0, 0, 20, 20, GL_COLOR);
    show("pixels");
    show_float("raster position", GL_CURRENT_RASTER_POSITION, 4);
    glEnable(GL_POLYGON_STIPPLE);
    glPolygonStipple(stipple);
    triangle();
    glDisable(GL_POLYGON_STIPPLE);
    show("stipple");
    glGetPolygonStipple(stipple_back);
    printf("stipple back %d\n", memcmp(stipple, stipple_back, 128) == 0);
    memset(back, 0x77, sizeof(back));
    glPixelStorei(GL_PACK_ALIGNMENT, 8);
    glPixelStorei(GL_PACK_SKIP_ROWS, 1);
    glReadPixels(3, 5, 11, 7, GL_RGB, GL_UNSIGNED_BYTE, back);
    glPixelStorei(GL_PACK_ALIGNMENT, 4);
    glPixelStorei(GL_PACK_SKIP_ROWS, 0);
    printf("read with gaps %016llx\n", (unsigned long long)hash(back, sizeof(back)));
    glEnable(GL_DEPTH_TEST);
    glBegin(GL_TRIANGLES);
    glVertex3f(-1, -1, 0.5f);
    glVertex3f(1, -1, -0.5f);
    glVertex3f(0, 1, 0);
    glEnd();
    glDisable(GL_DEPTH_TEST);
    glReadPixels(56, 56, 16, 16, GL_DEPTH_COMPONENT, GL_FLOAT, depth);
    printf("depth %016llx\n", (unsigned long long)hash(depth, sizeof(depth)));
}

static void lighting(void)
{
    static const GLfloat position[] = {0.5f, 0.5f, 1, 0}, color[] = {0.9f, 0.6f, 0.1f, 1};
    GLfloat back[4] = {0};

    clear();
    glEnable(GL_LIGHTING);
    glEnable(GL_LIGHT0);
    glLightfv(GL_LIGHT0, GL_POSITION, position);
    glMaterialfv(GL_FRONT_AND_BACK, GL_AMBIENT_AND_DIFFUSE, color);
    glMateriali(GL_FRONT, GL_SHININESS, 20);
    glEnable(GL_FOG);
    glFogfv(GL_FOG_COLOR, color);
    glFogi(GL_FOG_MODE, GL_LINEAR);
    glBegin(GL_TRIANGLE_FAN);
    for (int i = 0; i < 12; i++) {
        glNormal3f((float)(i % 3) / 3, (float)(i % 4) / 4, 1);
        glVertex3f((float)(i % 5) / 3 - 0.8f, (float)i / 6 - 0.9f, (float)i / 20);
    }
    glEnd();
    glDisable(GL_FOG);
    show("lighting");
    glGetLightfv(GL_LIGHT0, GL_POSITION, back);
    printf("light %g %g %g %g\n", (double)back[0], (double)back[1], (double)back[2],
           (double)back[3]);
    glGetMaterialfv(GL_FRONT, GL_DIFFUSE, back);
    printf("material %g %g %g %g\n", (double)back[0], (double)back[1], (double)back[2],
           (double)back[3]);
    glDisable(GL_LIGHTING);
}

static void attributes(void)
{
    glViewport(1, 2, 100, 90);
    glScissor(3, 4, 50, 60);
    glPushAttrib(GL_VIEWPORT_BIT | GL_ENABLE_BIT);
    glViewport(0, 0, 10, 10);
    glScissor(0, 0, 9, 9);
    glEnable(GL_SCISSOR_TEST);
    show_int("viewport", GL_VIEWPORT, 4);
    glPopAttrib();
    show_int("viewport popped", GL_VIEWPORT, 4);
    show_int("scissor kept", GL_SCISSOR_BOX, 4);
    printf("scissor test %d\n", glIsEnabled(GL_SCISSOR_TEST));
    glViewport(0, 0, SIZE, SIZE);
    glDepthFunc(GL_GEQUAL);
    show_int("depth function", GL_DEPTH_FUNC, 1);
    glDepthFunc(GL_LESS);
    glLineWidth(2.5f);
    show_float("line width", GL_LINE_WIDTH, 1);
    show_int("line width as integer", GL_LINE_WIDTH, 1);
    glLineWidth(1);
    show_int("max texture size", GL_MAX_TEXTURE_SIZE, 1);
    show_int("max viewport", GL_MAX_VIEWPORT_DIMS, 2);
    show_int("units", GL_MAX_TEXTURE_UNITS, 1);
    show_float("point sizes", GL_ALIASED_POINT_SIZE_RANGE, 2);
    show_int("bits", GL_RED_BITS, 1);
    show_int("depth bits", GL_DEPTH_BITS, 1);
    show_float("clear color", GL_COLOR_CLEAR_VALUE, 4);
    show_int("clear color as integers", GL_COLOR_CLEAR_VALUE, 4);
    show_error("no");
    glEnable(0x1234);
    show_error("enable");
    glBegin(99);
    show_error("begin");
    glBindTexture(0x9999, 1);
    show_error("bind");
    glVertexPointer(7, GL_FLOAT, 0, NULL);
    show_error("pointer");
    glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA, -3, 4, 0, GL_RGBA, GL_UNSIGNED_BYTE, NULL);
    show_error("image");
}

static void picking(void)
{
    GLuint names[64] = {0};
    GLfloat values[64] = {0};
    GLint hits;

    glSelectBuffer(64, names);
    glRenderMode(GL_SELECT);
    glInitNames();
    glPushName(7);
    triangle();
    glLoadName(8);
    glBegin(GL_POINTS);
    glVertex2f(5, 5);
    glEnd();
    hits = glRenderMode(GL_RENDER);
    printf("hits %d name %u\n", hits, names[3]);
    glFeedbackBuffer(64, GL_3D, values);
    glRenderMode(GL_FEEDBACK);
    triangle();
    hits = glRenderMode(GL_RENDER);
    printf("feedback %d first %g\n", hits, (double)values[0]);
}

static void evaluators(void)
{
    static const GLfloat points[4][3] = {
        {-0.8f, -0.8f, 0}, {-0.3f, 0.9f, 0}, {0.3f, -0.9f, 0}, {0.8f, 0.8f, 0}};
    GLfloat back[12] = {0};
    GLint order = 0;

    glMap1f(GL_MAP1_VERTEX_3, 0, 1, 3, 4, &points[0][0]);
    glEnable(GL_MAP1_VERTEX_3);
    clear();
    glColor3f(1, 1, 1);
    glBegin(GL_LINE_STRIP);
    for (int i = 0; i <= 20; i++)
        glEvalCoord1f((float)i / 20);
    glEnd();
    glDisable(GL_MAP1_VERTEX_3);
    show("evaluators");
    glGetMapfv(GL_MAP1_VERTEX_3, GL_COEFF, back);
    glGetMapiv(GL_MAP1_VERTEX_3, GL_ORDER, &order);
    printf("map %016llx order %d\n", (unsigned long long)hash(back, sizeof(back)), order);
}

int main(void)
{
    start(DESKTOP_COMPAT);
    front_if_any();
    immediate();
    lists();
    arrays();
    buffers();
    textures();
    pixels();
    lighting();
    attributes();
    picking();
    evaluators();
    show_error("at the end");
    return 0;
}

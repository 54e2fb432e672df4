/* A random walk over the entry points that change state which a guest may remember instead of
 * asking: after every few steps all of it is asked for, and what has changed is printed. Arguments
 * are wrong now and then, some calls stand in display lists, in attribute brackets or between
 * glBegin and glEnd.
 *
 *     gl_walk [SEED [STEPS [WHAT]]]
 *
 * WHAT: compat; split, which is compat with ARB_vertex_attrib_binding; core or es, which refuse
 * what they lack; shared, which is split with two contexts that share their objects: each is
 * current in turn, and objects that the other one uses are deleted; es-alone, which is es without
 * the calls that OpenGL ES lacks: what they do there is nobody's promise, and NVIDIA's driver takes
 * some. */
/* pkg: gl egl */
#include "tests/programs/gl_common.h"

#define PRIMITIVE_RESTART_NV 0x8558
#define COUNT                3

static uint64_t random_state;
static int kind;
static bool split, sharing, alone, drawing = true;
static GLuint buffer[COUNT], renderbuffer[COUNT], list[COUNT], programs[COUNT], texture[COUNT];
static GLuint gone[4]; /* of buffers, renderbuffers, textures, programs: who was deleted last */
static GLfloat memory[64];

/* What belongs to a context alone. */
static struct walker {
    EGLContext context;
    int pushed, client_pushed;
    GLuint array[COUNT], framebuffer[COUNT];
} walkers[2], *now = walkers;

static unsigned below(unsigned n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random_state >> 33) % n;
}

#define PICK(...) pick((const GLenum[]){__VA_ARGS__}, sizeof((GLenum[]){__VA_ARGS__}) / 4)
static GLenum pick(const GLenum *from, size_t n)
{
    return from[below((unsigned)n)];
}

/* A call that OpenGL ES lacks. */
#define DESKTOP(...)                                                                               \
    do {                                                                                           \
        if (!alone)                                                                                \
            __VA_ARGS__;                                                                           \
    } while (0)

/* One of the objects, or none, or a name that nobody gave. */
static GLuint object(const GLuint *names)
{
    unsigned i = below(COUNT + 2);
    return i < COUNT ? names[i] : i == COUNT ? 0 : 54321;
}

static GLuint made(const GLuint *names)
{
    unsigned i = below(COUNT + 1);
    return i < COUNT ? names[i] : 0;
}

/* --- what is asked ---------------------------------------------------------------------------- */

#define VALUES 300

static char last[2][VALUES][48];
static int value_count, step_number;

static void value(const char *name, unsigned key, const char *text)
{
    char *was = last[now - walkers][value_count++];

    if (value_count > VALUES)
        give_up("more values than room");
    if (strcmp(was, text) == 0)
        return;
    snprintf(was, sizeof(last[0][0]), "%s", text);
    printf("%d: %s 0x%04x = %s\n", step_number, name, key, text);
}

static int place(const GLuint *names, GLint name)
{
    for (int i = 0; i < COUNT; i++)
        if (names[i] == (GLuint)name)
            return i + 1;
    return name ? -1 : 0;
}

/* The first one: a driver may keep one error or several. */
static void ask_error(const char *name)
{
    char text[16];

    glFinish();
    snprintf(text, sizeof(text), "0x%04x", glGetError());
    if (strcmp(text, "0x0000") != 0)
        printf("%d: %s %s\n", step_number, name, text);
    while (glGetError())
        ;
}

static void ask_caps(void)
{
    static const GLenum caps[] = {
        GL_BLEND,
        GL_CULL_FACE,
        GL_DEPTH_TEST,
        GL_DITHER,
        GL_SCISSOR_TEST,
        GL_STENCIL_TEST,
        GL_ALPHA_TEST,
        GL_FOG,
        GL_LIGHTING,
        GL_LIGHT1,
        GL_NORMALIZE,
        GL_COLOR_LOGIC_OP,
        GL_CLIP_PLANE0,
        GL_DEPTH_CLAMP,
        GL_RASTERIZER_DISCARD,
        GL_FRAMEBUFFER_SRGB,
        GL_PRIMITIVE_RESTART,
        GL_PRIMITIVE_RESTART_FIXED_INDEX,
        GL_VERTEX_ARRAY,
        GL_COLOR_ARRAY,
        GL_TEXTURE_COORD_ARRAY,
        GL_NORMAL_ARRAY,
        GL_MULTISAMPLE,
        GL_POLYGON_OFFSET_FILL,
    };

    for (unsigned i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
        char text[32];
        snprintf(text, sizeof(text), "%d", glIsEnabled(caps[i]));
        value("enabled", caps[i], text);
    }
    ask_error("error of capabilities");
}

static void ask_value(GLenum pname, int count, const GLuint *names)
{
    GLfloat v[16] = {-7, -7, -7, -7};
    GLint i[16] = {-7, -7, -7, -7};
    char text[200];
    int n = 0;

    glGetFloatv(pname, v);
    glGetIntegerv(pname, i);
    for (int k = 0; k < count; k++)
        n += names ? snprintf(text + n, sizeof(text) - (size_t)n, "object %d ", place(names, i[k]))
                   : snprintf(text + n, sizeof(text) - (size_t)n, "%g ", (double)v[k]);
    if (!names && pname != GL_ALPHA_TEST_REF)
        snprintf(text + n, sizeof(text) - (size_t)n, "%d", i[0]);
    value("value", pname, text);
}

static void ask_values(void)
{
    const struct {
        GLenum pname;
        int count;
        const GLuint *names;
    } asked[] = {
        {GL_VIEWPORT, 4, NULL},
        {GL_SCISSOR_BOX, 4, NULL},
        {GL_MATRIX_MODE, 1, NULL},
        {GL_DEPTH_FUNC, 1, NULL},
        {GL_DEPTH_WRITEMASK, 1, NULL},
        {GL_COLOR_WRITEMASK, 4, NULL},
        {GL_CULL_FACE_MODE, 1, NULL},
        {GL_FRONT_FACE, 1, NULL},
        {GL_SHADE_MODEL, 1, NULL},
        {GL_LINE_WIDTH, 1, NULL},
        {GL_POINT_SIZE, 1, NULL},
        {GL_ALPHA_TEST_FUNC, 1, NULL},
        {GL_ALPHA_TEST_REF, 1, NULL},
        {GL_BLEND_SRC_RGB, 1, NULL},
        {GL_BLEND_DST_ALPHA, 1, NULL},
        {GL_BLEND_EQUATION_RGB, 1, NULL},
        {GL_STENCIL_CLEAR_VALUE, 1, NULL},
        {GL_POLYGON_OFFSET_FACTOR, 1, NULL},
        {GL_LOGIC_OP_MODE, 1, NULL},
        {GL_LIST_BASE, 1, NULL},
        {GL_PRIMITIVE_RESTART_INDEX, 1, NULL},
        {GL_UNPACK_ALIGNMENT, 1, NULL},
        {GL_PACK_ROW_LENGTH, 1, NULL},
        {GL_UNPACK_SKIP_ROWS, 1, NULL},
        {GL_UNPACK_SWAP_BYTES, 1, NULL},
        {GL_CLIENT_ACTIVE_TEXTURE, 1, NULL},
        {GL_ACTIVE_TEXTURE, 1, NULL},
        {GL_ATTRIB_STACK_DEPTH, 1, NULL},
        {GL_CLIENT_ATTRIB_STACK_DEPTH, 1, NULL},
        {GL_RENDER_MODE, 1, NULL},
        {GL_VERTEX_ARRAY_SIZE, 1, NULL},
        {GL_VERTEX_ARRAY_TYPE, 1, NULL},
        {GL_VERTEX_ARRAY_STRIDE, 1, NULL},
        {GL_COLOR_ARRAY_SIZE, 1, NULL},
        {GL_TEXTURE_COORD_ARRAY_SIZE, 1, NULL},
        {GL_NORMAL_ARRAY_TYPE, 1, NULL},
        {GL_ARRAY_BUFFER_BINDING, 1, buffer},
        {GL_ELEMENT_ARRAY_BUFFER_BINDING, 1, buffer},
        {GL_UNIFORM_BUFFER_BINDING, 1, buffer},
        {GL_PIXEL_PACK_BUFFER_BINDING, 1, buffer},
        {GL_COPY_READ_BUFFER_BINDING, 1, buffer},
        {GL_VERTEX_ARRAY_BUFFER_BINDING, 1, buffer},
        {GL_COLOR_ARRAY_BUFFER_BINDING, 1, buffer},
        {GL_TRANSFORM_FEEDBACK_BUFFER_BINDING, 1, buffer},
        {GL_VERTEX_ARRAY_BINDING, 1, now->array},
        {GL_DRAW_FRAMEBUFFER_BINDING, 1, now->framebuffer},
        {GL_READ_FRAMEBUFFER_BINDING, 1, now->framebuffer},
        {GL_RENDERBUFFER_BINDING, 1, renderbuffer},
        {GL_CURRENT_PROGRAM, 1, programs},
    };

    for (unsigned i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
        ask_value(asked[i].pname, asked[i].count, asked[i].names);
}

static void ask_attributes(void)
{
    static const GLenum asked[] = {
        GL_VERTEX_ATTRIB_ARRAY_ENABLED,    GL_VERTEX_ATTRIB_ARRAY_SIZE,
        GL_VERTEX_ATTRIB_ARRAY_TYPE,       GL_VERTEX_ATTRIB_ARRAY_STRIDE,
        GL_VERTEX_ATTRIB_ARRAY_NORMALIZED, GL_VERTEX_ATTRIB_ARRAY_INTEGER,
        GL_VERTEX_ATTRIB_ARRAY_DIVISOR,    GL_VERTEX_ATTRIB_ARRAY_BUFFER_BINDING};
    char text[16];

    for (GLuint a = 1; a < 3; a++)
        for (unsigned i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
            GLint v = -7;
            glGetVertexAttribiv(a, asked[i], &v);
            if (asked[i] == GL_VERTEX_ATTRIB_ARRAY_BUFFER_BINDING)
                v = place(buffer, v);
            snprintf(text, sizeof(text), "%d", v);
            value(a == 1 ? "attribute 1" : "attribute 2", asked[i], text);
        }
}

static void ask(void)
{
    ask_caps();
    ask_values();
    ask_attributes();
    if (sharing)
        ask_value(GL_TEXTURE_BINDING_2D, 1, texture);
    ask_error("error of questions");
}

/* --- what is done ----------------------------------------------------------------------------- */

static GLenum any_cap(void)
{
    return PICK(GL_BLEND, GL_CULL_FACE, GL_DEPTH_TEST, GL_DITHER, GL_SCISSOR_TEST, GL_STENCIL_TEST,
                GL_ALPHA_TEST, GL_FOG, GL_LIGHTING, GL_LIGHT1, GL_NORMALIZE, GL_COLOR_LOGIC_OP,
                GL_CLIP_PLANE0, GL_DEPTH_CLAMP, GL_RASTERIZER_DISCARD, GL_FRAMEBUFFER_SRGB,
                GL_PRIMITIVE_RESTART, GL_PRIMITIVE_RESTART, GL_PRIMITIVE_RESTART_FIXED_INDEX,
                GL_MULTISAMPLE, GL_POLYGON_OFFSET_FILL, 0x1234);
}

static void step_cap(void)
{
    GLenum cap = any_cap();
    below(2) ? glEnable(cap) : glDisable(cap);
}

static void step_cap_indexed(void)
{
    GLenum cap = PICK(GL_BLEND, GL_SCISSOR_TEST, GL_FOG);
    GLuint index = below(3) * 4;
    below(2) ? glEnablei(cap, index) : glDisablei(cap, index);
}

static void step_client_state(void)
{
    GLenum a = PICK(GL_VERTEX_ARRAY, GL_COLOR_ARRAY, GL_TEXTURE_COORD_ARRAY, GL_NORMAL_ARRAY,
                    PRIMITIVE_RESTART_NV, PRIMITIVE_RESTART_NV, GL_BLEND);
    below(2) ? glEnableClientState(a) : glDisableClientState(a);
}

static void step_restart_index(void)
{
    glPrimitiveRestartIndex(PICK(7, 0xff, 0xffffffff));
}

static void step_view(void)
{
    switch (below(5)) {
    case 0: glViewport((GLint)below(9), 2, (GLsizei)below(90) - 10, 50); break;
    case 1: glScissor(1, (GLint)below(9), (GLsizei)below(90) - 10, 50); break;
    case 2: DESKTOP(glViewportIndexedf(below(2), 0.25f, 1.5f, (GLfloat)below(40), 20)); break;
    case 3: DESKTOP(glScissorIndexed(below(2), 3, 4, (GLsizei)below(40), 20)); break;
    default: glViewport(0, 0, 1 << 24, 10); break;
    }
}

static void step_raster(void)
{
    switch (below(8)) {
    case 0: glCullFace(PICK(GL_FRONT, GL_BACK, GL_FRONT_AND_BACK, GL_LINE)); break;
    case 1: glFrontFace(PICK(GL_CW, GL_CCW, GL_BACK)); break;
    case 2: DESKTOP(glShadeModel(PICK(GL_FLAT, GL_SMOOTH, GL_FRONT))); break;
    case 3: glLineWidth((GLfloat)below(5) - 1); break;
    case 4: DESKTOP(glPointSize((GLfloat)below(5) - 1)); break;
    case 5: glPolygonOffset((GLfloat)below(5) - 2, 1); break;
    case 6:
        DESKTOP(glMatrixMode(PICK(GL_MODELVIEW, GL_PROJECTION, GL_TEXTURE, GL_COLOR, GL_LINE)));
        break;
    default: DESKTOP(glListBase(below(9))); break;
    }
}

static void step_fragment(void)
{
    static const GLenum factors[] = {GL_ZERO,      GL_ONE,        GL_SRC_ALPHA,
                                     GL_DST_COLOR, GL_SRC1_ALPHA, GL_LINE};

    switch (below(11)) {
    case 0: glDepthFunc(PICK(GL_LESS, GL_ALWAYS, GL_GEQUAL, GL_LINE)); break;
    case 1: glDepthMask((GLboolean)below(2)); break;
    case 2: glColorMask((GLboolean)below(2), 1, 0, (GLboolean)below(2)); break;
    case 3: glColorMaski(below(2), (GLboolean)below(2), 0, 1, 1); break;
    case 4: DESKTOP(glAlphaFunc(PICK(GL_LESS, GL_ALWAYS, GL_LINE), (GLfloat)below(6) / 4)); break;
    case 5: glBlendFunc(pick(factors, 6), pick(factors, 6)); break;
    case 6: glBlendFuncSeparate(pick(factors, 6), GL_ONE, GL_ONE, pick(factors, 6)); break;
    case 7: glBlendEquation(PICK(GL_FUNC_ADD, GL_MIN, GL_FUNC_SUBTRACT, GL_LINE)); break;
    case 8: glBlendFunci(below(3) * 5, pick(factors, 6), GL_ONE); break;
    case 9: glClearStencil((GLint)below(300)); break;
    default: DESKTOP(glLogicOp(PICK(GL_COPY, GL_XOR, GL_SET, GL_LINE))); break;
    }
}

static void step_store(void)
{
    switch (below(4)) {
    case 0: glPixelStorei(GL_UNPACK_ALIGNMENT, (GLint)below(6)); break;
    case 1: glPixelStorei(GL_PACK_ROW_LENGTH, (GLint)below(6) - 1); break;
    case 2: DESKTOP(glPixelStoref(GL_UNPACK_SKIP_ROWS, (GLfloat)below(6) / 2)); break;
    default: glPixelStorei(GL_UNPACK_SWAP_BYTES, (GLint)below(3)); break;
    }
}

static void step_unit(void)
{
    GLenum unit = GL_TEXTURE0 + below(3) * 5;
    below(2) && !alone ? glClientActiveTexture(unit) : glActiveTexture(unit);
}

static GLenum any_target(void)
{
    return PICK(GL_ARRAY_BUFFER, GL_ARRAY_BUFFER, GL_ELEMENT_ARRAY_BUFFER, GL_UNIFORM_BUFFER,
                GL_PIXEL_PACK_BUFFER, GL_COPY_READ_BUFFER, GL_TRANSFORM_FEEDBACK_BUFFER, 0x1234);
}

static void step_buffer(void)
{
    GLuint two[2] = {made(buffer), made(buffer)};
    static const GLintptr offsets[2] = {0, 256};
    static const GLsizeiptr sizes[2] = {64, 64};

    switch (below(5)) {
    case 0: glBindBufferBase(GL_UNIFORM_BUFFER, below(2) * 1000, made(buffer)); break;
    case 1: glBindBufferRange(any_target(), 0, made(buffer), 0, (GLsizeiptr)below(3) * 16); break;
    case 2: DESKTOP(glBindBuffersRange(GL_UNIFORM_BUFFER, 0, 2, two, offsets, sizes)); break;
    default: glBindBuffer(any_target(), made(buffer)); break;
    }
}

/* A name that no object had before. What outlives a deletion, as a binding in a saved group of
 * client attributes does, goes on answering with its old name, and GL leaves open whether a new
 * object is given that name meanwhile: Mesa 25 gives it at once, Mesa 22 late. Then nobody could
 * tell the two apart. A name that comes again is left unused. */
static GLuint fresh(void (*gen)(GLsizei, GLuint *), const GLuint *names)
{
    static GLuint highest[7];
    GLuint *most = &highest[names == buffer                 ? 0
                            : names == renderbuffer         ? 1
                            : names == texture              ? 2
                            : names == walkers[0].array     ? 3
                            : names == walkers[1].array     ? 4
                            : names == walkers->framebuffer ? 5
                                                            : 6];
    GLuint name;

    for (int i = 0; i < COUNT; i++)
        *most = names[i] > *most ? names[i] : *most;
    do
        gen(1, &name);
    while (name <= *most);
    return name;
}

static void step_delete(void)
{
    unsigned i = below(COUNT);
    GLuint *array = now->array, *framebuffer = now->framebuffer;

    switch (below(5)) {
    case 0:
        gone[0] = buffer[i];
        glDeleteBuffers(1, &buffer[i]);
        buffer[i] = fresh(glGenBuffers, buffer);
        break;
    case 1:
        glDeleteVertexArrays(1, &array[i]);
        array[i] = fresh(glGenVertexArrays, array);
        break;
    case 2:
        glDeleteFramebuffers(1, &framebuffer[i]);
        framebuffer[i] = fresh(glGenFramebuffers, framebuffer);
        break;
    case 3:
        gone[1] = renderbuffer[i];
        glDeleteRenderbuffers(1, &renderbuffer[i]);
        renderbuffer[i] = fresh(glGenRenderbuffers, renderbuffer);
        break;
    default: break;
    }
}

static void step_objects(void)
{
    switch (below(5)) {
    case 0:
        glBindFramebuffer(PICK(GL_FRAMEBUFFER, GL_READ_FRAMEBUFFER, GL_DRAW_FRAMEBUFFER, 0x1234),
                          made(now->framebuffer));
        break;
    case 1: glBindRenderbuffer(PICK(GL_RENDERBUFFER, 0x1234), made(renderbuffer)); break;
    case 2: glUseProgram(object(programs)); break;
    default: glBindVertexArray(object(now->array)); break;
    }
}

static bool core_without_array(void)
{
    GLint now = 0;
    glGetIntegerv(GL_VERTEX_ARRAY_BINDING, &now);
    return kind == DESKTOP_CORE && !now;
}

struct pointer {
    unsigned which;
    GLuint index;
    GLint size;
    GLenum type, format;
    GLboolean normalized;
    GLsizei stride;
    const void *at;
};

static void point(const struct pointer *p)
{
    switch (p->which) {
    case 0: glVertexPointer(p->size, p->type, p->stride, p->at); break;
    case 1: glColorPointer(p->size, p->type, p->stride, p->at); break;
    case 2: glNormalPointer(p->type, p->stride, p->at); break;
    case 3: glTexCoordPointer(p->size, p->type, p->stride, p->at); break;
    case 4: glVertexAttribIPointer(p->index, p->size, p->type, p->stride, p->at); break;
    case 5: glInterleavedArrays(p->format, p->stride, p->at); break;
    default:
        glVertexAttribPointer(p->index, p->size, p->type, p->normalized, p->stride, p->at);
        break;
    }
}

/* One thing is wrong at most: of two errors GL leaves open which one is told.
 *
 * Mesa 22 says that a stride below 0, or memory in a vertex array object, is an error, but sets the
 * array nevertheless; GL leaves it as it was. Then the array is set again, as is allowed. In the
 * core profile nothing is allowed without an object. */
static void step_pointer(void)
{
    struct pointer p = {
        .which = below(8),
        .index = 1 + below(2),
        .size = (GLint)below(6),
        .type = PICK(GL_FLOAT, GL_FLOAT, GL_SHORT, GL_UNSIGNED_BYTE, GL_LINE),
        .format = PICK(GL_V2F, GL_C4UB_V3F, GL_T2F_N3F_V3F, GL_LINE),
        .normalized = (GLboolean)below(2),
        .stride = (GLsizei)below(3) * 8 - (below(9) ? 0 : 9),
        .at = memory + below(4),
    };
    GLint object = 0, from = 0;

    glGetIntegerv(GL_VERTEX_ARRAY_BINDING, &object);
    glGetIntegerv(GL_ARRAY_BUFFER_BINDING, &from);
    if (core_without_array())
        return;
    if (alone)
        p.which = p.which == 4 ? 4 : 6;
    if (from)
        p.at = (const void *)(uintptr_t)(below(4) * 8);
    if (p.which == 5 && object && !from)
        return; /* many arrays at once */
    if (p.type != GL_SHORT || p.stride < 0 || (object && !from))
        p.size = 3 + p.size % 2;
    if (p.stride < 0 || (object && !from)) {
        p.type = GL_SHORT;
        p.format = GL_V2F;
        p.stride = object && !from && p.stride < 0 ? 8 : p.stride;
    }
    point(&p);
    if (p.stride >= 0 && (!object || from))
        return;
    p.size = 4;
    p.type = GL_SHORT;
    p.stride = 16;
    if (!from)
        glBindBuffer(GL_ARRAY_BUFFER, buffer[0]);
    p.at = NULL;
    point(&p);
    if (!from)
        glBindBuffer(GL_ARRAY_BUFFER, 0);
}

static void step_attribute(void)
{
    GLuint index = 1 + below(2) + (below(9) ? 0 : 100), vao = made(now->array);

    if (core_without_array())
        return;
    switch (below(split ? 9 : 5)) {
    case 0: glEnableVertexAttribArray(index); break;
    case 1: glDisableVertexAttribArray(index); break;
    case 2: glVertexAttribDivisor(index, below(4)); break;
    case 3: DESKTOP(glEnableVertexArrayAttrib(vao, index)); break;
    case 4: DESKTOP(glDisableVertexArrayAttrib(vao, index)); break;
    case 5: glVertexAttribFormat(index, (GLint)below(6), GL_FLOAT, GL_FALSE, 0); break;
    case 6: glVertexAttribBinding(index, below(4)); break;
    case 7: glBindVertexBuffer(index, made(buffer), 0, (GLsizei)below(3) * 8); break;
    default: glVertexBindingDivisor(index, below(3)); break;
    }
}

static void step_vao(void)
{
    GLuint vao = made(now->array);

    switch (below(split ? 4 : 1)) {
    case 0: glVertexArrayElementBuffer(vao, object(buffer)); break;
    case 1: glVertexArrayVertexBuffer(vao, 1 + below(2), made(buffer), 0, 16); break;
    case 2: glVertexArrayAttribFormat(vao, 1, 1 + (GLint)below(4), GL_FLOAT, GL_FALSE, 0); break;
    default: glVertexArrayBindingDivisor(vao, 1, below(4)); break;
    }
}

static void step_attrib_stack(void)
{
    if (below(2) && now->pushed < 14) {
        glPushAttrib(PICK(GL_ALL_ATTRIB_BITS, GL_ENABLE_BIT, GL_COLOR_BUFFER_BIT,
                          GL_DEPTH_BUFFER_BIT | GL_VIEWPORT_BIT, GL_TRANSFORM_BIT | GL_LINE_BIT));
        now->pushed++;
    } else {
        glPopAttrib();
        now->pushed -= now->pushed > 0;
    }
}

static void step_client_stack(void)
{
    if (below(2) && now->client_pushed < 14) {
        glPushClientAttrib(
            PICK(GL_CLIENT_ALL_ATTRIB_BITS, GL_CLIENT_PIXEL_STORE_BIT, GL_CLIENT_VERTEX_ARRAY_BIT));
        now->client_pushed++;
    } else {
        glPopClientAttrib();
        now->client_pushed -= now->client_pushed > 0;
    }
}

static void step_list(void)
{
    GLint open = 0;

    if (kind == DESKTOP_COMPAT)
        glGetIntegerv(GL_LIST_INDEX, &open);
    switch (below(4)) {
    case 0:
        glNewList(list[below(COUNT)],
                  PICK(GL_COMPILE, GL_COMPILE, GL_COMPILE_AND_EXECUTE, GL_LINE));
        break;
    case 1:
    case 2: glEndList(); break;
    default:
        if (!open) /* lists that call each other never end */
            glCallList(list[below(COUNT)]);
        break;
    }
}

/* Indices that are no vertices where they mean restart. */
static void step_draw(void)
{
    static const GLfloat quad[8] = {-1, -1, 1, -1, 1, 1, -1, 1};
    static const GLubyte plain[4] = {0, 1, 2, 3};
    GLuint indices[6] = {0, 1, 2, 0, 2, 3};
    GLint at = 0;

    if (!drawing)
        return;
    glBindVertexArray(0);
    glBindBuffer(GL_ARRAY_BUFFER, 0);
    glBindBuffer(GL_ELEMENT_ARRAY_BUFFER, 0);
    glVertexPointer(2, GL_FLOAT, 0, quad);
    glEnableClientState(GL_VERTEX_ARRAY);
    for (unsigned unit = 0; unit < 8;
         unit++) { /* a buffer that was deleted may have left a pointer */
        glClientActiveTexture(GL_TEXTURE0 + unit);
        for (GLenum a = GL_NORMAL_ARRAY; a <= GL_EDGE_FLAG_ARRAY; a++)
            glDisableClientState(a);
    }
    glDisableVertexAttribArray(1);
    glDisableVertexAttribArray(2);
    if (glIsEnabled(GL_PRIMITIVE_RESTART_FIXED_INDEX))
        indices[4] = 0xffffffff;
    else if (glIsEnabled(GL_PRIMITIVE_RESTART) &&
             (glGetIntegerv(GL_PRIMITIVE_RESTART_INDEX, &at), (GLuint)at > 3))
        indices[4] = (GLuint)at;
    glDrawElements(GL_TRIANGLE_STRIP, 6, GL_UNSIGNED_INT, indices);
    glDrawElements(GL_POINTS, 4, GL_UNSIGNED_BYTE, plain);
}

static void step_between(void)
{
    switch (below(9)) {
    case 0: glEnable(GL_BLEND); break;
    case 1: glDepthFunc(GL_NOTEQUAL); break;
    case 2: glBindBuffer(GL_UNIFORM_BUFFER, made(buffer)); break;
    case 3: glUseProgram(programs[0]); break;
    case 4: glMatrixMode(GL_TEXTURE); break;
    case 5: glBindFramebuffer(GL_FRAMEBUFFER, made(now->framebuffer)); break;
    case 6: glBindVertexArray(made(now->array)); break;
    case 7: glPushAttrib(GL_ENABLE_BIT); break;
    default: glViewport(0, 0, 7, 7); break;
    }
}

/* What is refused between glBegin and glEnd leaves everything as it was. A framebuffer without
 * attachments is not complete: there glBegin is refused, and what follows is taken. (What GL says
 * of client attributes and pointers between the two is that anything may happen.) */
static void step_begun(void)
{
    bool refused = below(3) == 0;

    glUseProgram(0);
    glBindFramebuffer(GL_FRAMEBUFFER, refused ? now->framebuffer[0] : 0);
    glBegin(PICK(GL_POINTS, GL_LINES, GL_QUADS));
    if (refused && below(2)) {
        ask_error("error of glBegin");
        step_client_stack();
        step_pointer();
    } else {
        step_between();
    }
    glEnd();
    if (below(4) == 0)
        glBegin(0x1234);
}

static void (*const steps[])(void) = {
    step_cap,           step_cap,     step_cap,      step_cap_indexed,  step_client_state,
    step_view,          step_raster,  step_fragment, step_fragment,     step_store,
    step_unit,          step_buffer,  step_buffer,   step_delete,       step_objects,
    step_objects,       step_pointer, step_pointer,  step_attribute,    step_attribute,
    step_vao,           step_list,    step_list,     step_attrib_stack, step_client_stack,
    step_restart_index, step_draw,    step_begun,
};

static bool desktop_only(void (*step)(void))
{
    static void (*const desktop[])(void) = {step_client_state, step_restart_index, step_vao,
                                            step_list,         step_attrib_stack,  step_draw,
                                            step_client_stack, step_begun};

    for (unsigned i = 0; i < sizeof(desktop) / sizeof(desktop[0]); i++)
        if (desktop[i] == step)
            return true;
    return false;
}

/* --- two contexts that share ------------------------------------------------------------------ */

static void become(struct walker *w)
{
    now = w;
    if (!eglMakeCurrent(the_display, the_surface, the_surface, w->context))
        give_up("eglMakeCurrent");
}

static void step_texture(void)
{
    unsigned i = below(COUNT);
    GLint open = 0;

    switch (below(5)) {
    case 0:
        gone[2] = texture[i];
        glDeleteTextures(1, &texture[i]);
        texture[i] = fresh(glGenTextures, texture);
        break;
    case 1: glTexImage2D(GL_TEXTURE_2D, 0, GL_RGBA8, 4, 4, 0, GL_RGBA, GL_FLOAT, NULL); break;
    default:
        glGetIntegerv(GL_LIST_INDEX, &open);
        if (!open) /* else it waits in the list until the name is gone */
            glBindTexture(GL_TEXTURE_2D, made(texture));
        break;
    }
}

/* Deleted names are nobody's at once, but for a program's that is in use. */
static void ask_gone(void)
{
    printf("%d: gone: %d %d %d %d\n", step_number, glIsBuffer(gone[0]), glIsRenderbuffer(gone[1]),
           glIsTexture(gone[2]), glIsProgram(gone[3]));
}

static void step_switch(void)
{
    become(now == walkers ? &walkers[1] : walkers);
}

/* What was deleted, in both contexts. (Later a saved group of attributes or a display list that has
 * the name may bring it back.) */
static void step_gone(void)
{
    memset(gone, 0, sizeof(gone));
    below(2) ? step_delete() : step_texture();
    ask_gone();
    step_switch();
    ask_gone();
}

static GLuint new_program(void)
{
    const char *vertex = kind == ES3 ? "#version 300 es\nvoid main() { gl_Position = vec4(0.0); }"
                                     : "#version 130\nvoid main() { gl_Position = vec4(0); }",
               *fragment =
                   kind == ES3 ? "#version 300 es\nvoid main() {}" : "#version 130\nvoid main() {}";

    return program(vertex, fragment);
}

/* Mesa 22 crashes in a draw when the other context has deleted a program that was in use: a walk
 * draws, or it deletes programs. */
static void step_program(void)
{
    if (below(4) || drawing) {
        glUseProgram(made(programs));
    } else {
        memset(gone, 0, sizeof(gone));
        gone[3] = programs[0];
        glDeleteProgram(programs[0]);
        ask_gone();
        programs[0] = new_program();
    }
}

/* A buffer that the other context has deleted goes on, and answers, while it is bound here. (Not as
 * uniforms: Mesa forgets that binding when a buffer of an indexed one is deleted, whichever it is.)
 */
static void step_data(void)
{
    GLenum target = PICK(GL_ARRAY_BUFFER, GL_ELEMENT_ARRAY_BUFFER, GL_COPY_READ_BUFFER);
    GLubyte some[64] = {0}, *map;
    GLint size = -7, mapped = -7;

    memset(some, (int)below(200), sizeof(some));
    glGetBufferParameteriv(target, GL_BUFFER_SIZE, &size);
    switch (below(size ? 6 : 2)) { /* without data drivers differ in why they map nothing */
    case 0: glBufferSubData(target, below(8) * 16, 64, some); break;
    case 1: glBufferData(target, 1024 + below(4) * 64, NULL, GL_DYNAMIC_DRAW); break;
    case 2:
        map = glMapBuffer(target, GL_READ_WRITE);
        if (map)
            map[below(64)] = some[0];
        glUnmapBuffer(target);
        break;
    case 3:
        map = glMapBufferRange(target, 64, 64, GL_MAP_WRITE_BIT | GL_MAP_INVALIDATE_RANGE_BIT);
        if (map)
            memcpy(map, some, sizeof(some));
        glUnmapBuffer(target);
        break;
    default: break;
    }
    memset(some, 0, sizeof(some));
    glGetBufferSubData(target, 32, 64, some);
    glGetBufferParameteriv(target, GL_BUFFER_SIZE, &size);
    glGetBufferParameteriv(target, GL_BUFFER_MAPPED, &mapped);
    printf("%d: data 0x%04x: %d, %d, %016llx\n", step_number, target, size, mapped,
           (unsigned long long)hash(some, sizeof(some)));
}

static void (*const sharing_steps[])(void) = {
    step_switch, step_switch, step_switch,  step_switch, step_texture, step_texture,
    step_data,   step_data,   step_program, step_gone,   step_gone,
};

/* --- the walk --------------------------------------------------------------------------------- */

static void prepare_walker(struct walker *w)
{
    become(w);
    glGenVertexArrays(COUNT, w->array);
    glGenFramebuffers(COUNT, w->framebuffer);
}

static void prepare(void)
{
    static GLubyte data[1024];

    glGenBuffers(COUNT, buffer);
    for (int i = 0; i < COUNT; i++) {
        glBindBuffer(GL_ARRAY_BUFFER, buffer[i]);
        glBufferData(GL_ARRAY_BUFFER, sizeof(data), data, GL_STATIC_DRAW);
    }
    glBindBuffer(GL_ARRAY_BUFFER, 0);
    glGenRenderbuffers(COUNT, renderbuffer);
    if (sharing)
        glGenTextures(COUNT, texture);
    for (int i = 0; i < COUNT; i++)
        DESKTOP(list[i] = glGenLists(1));
    programs[0] = new_program();
    programs[1] = new_program();
    programs[2] = glCreateProgram(); /* never linked: cannot be used */
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    int count = argc > 2 ? atoi(argv[2]) : 1500;
    bool trace = getenv("XG_WALK_TRACE") != NULL;

    kind = argc > 3 && strcmp(argv[3], "core") == 0     ? DESKTOP_CORE
           : argc > 3 && strncmp(argv[3], "es", 2) == 0 ? ES3
                                                        : DESKTOP_COMPAT;
    alone = argc > 3 && strcmp(argv[3], "es-alone") == 0;
    split = argc > 3 && strcmp(argv[3], "compat") != 0;
    sharing = argc > 3 && strcmp(argv[3], "shared") == 0;
    drawing = !sharing || seed % 2;
    printf("seed %llu, %d steps\n", (unsigned long long)seed, count);
    random_state = seed;
    walkers[0].context = start(kind);
    prepare();
    if (sharing) {
        walkers[1].context = make_context(kind, walkers[0].context);
        prepare_walker(&walkers[1]);
    }
    prepare_walker(&walkers[0]);
    ask_error("error");
    ask();
    for (step_number = 1; step_number <= count; step_number++) {
        unsigned all = sizeof(steps) / sizeof(steps[0]),
                 more = sharing ? sizeof(sharing_steps) / sizeof(sharing_steps[0]) : 0,
                 which = below(all + more);
        if (trace)
            fprintf(stderr, "%d: step %u\n", step_number, which);
        if (which < all && alone && desktop_only(steps[which]))
            continue;
        which < all ? steps[which]() : sharing_steps[which - all]();
        value_count = 0;
        ask_error("error");
        if (below(4) == 0)
            ask();
    }
    return 0;
}

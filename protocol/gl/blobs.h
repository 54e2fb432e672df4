/*
 * What comes back as one blob in arena memory: a context's constants (xgSnapshot) and a program's
 * reflection (xgReflect).
 * Offsets are in bytes from the blob's start; strings end in NUL. The worker answers the bytes that
 * it needs; if that is more than there
 * was room for, nothing was written and the guest asks again with more.
 */
#ifndef XG_PROTOCOL_GL_BLOBS_H
#define XG_PROTOCOL_GL_BLOBS_H

#include <stdint.h>

struct xg_gl_snapshot_blob {
    uint32_t size;
    uint32_t vendor, renderer, version, glsl; /* strings, as the host says them; 0: none */
    uint32_t extensions, extension_count;     /* one string after the other */
    uint32_t limits, limit_count;             /* struct xg_gl_limit_record */
    int32_t major, minor;
    uint32_t pad;
};

struct xg_gl_limit_record {
    uint32_t pname;
    uint32_t count; /* values, 1 to 4 */
    int32_t n[4];   /* as glGetIntegerv answers; some wrap what it cannot hold, others clamp it */
    int64_t i[4];
    double d[4];
};

struct xg_gl_reflect_blob {
    uint32_t size;
    uint32_t linked;
    uint32_t log; /* string */
    uint32_t attribs, attrib_count;
    uint32_t uniforms, uniform_count;
    uint32_t blocks, block_count;
    uint32_t attrib_max, uniform_max, block_max; /* longest names, with NUL */
};

struct xg_gl_variable_record { /* attributes and uniforms */
    uint32_t name;
    int32_t size;
    uint32_t type;
    int32_t location;
    uint32_t contiguous; /* element i of an array is at location + i */
    uint32_t pad;
};

struct xg_gl_block_record {
    uint32_t name;
    uint32_t pad;
};

#endif

/* Generated tables: functions by name, sorted; extensions whose every command is served. */
#ifndef XG_INTERPOSER_GL_PROCS_H
#define XG_INTERPOSER_GL_PROCS_H

struct xg_gl_proc {
    const char *name;
    void *fn;
};
extern const struct xg_gl_proc xg_gl_procs[];
extern const unsigned xg_gl_procs_count;
extern const char *const xg_gl_extensions[];
extern const unsigned xg_gl_extensions_count;

#endif

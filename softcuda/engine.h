/*
 * softcuda's engine: PTX text in, kernels that run on the CPU out.
 *
 * The driver half (driver/) owns contexts, streams, memory and the CUDA API; the engine (ptx/) owns
 * parsing, translation and execution and knows no CUDA API type. Device addresses are host
 * addresses: a global-memory access is legal if it lies wholly inside one range of the launch's
 * memory map, and is then performed on that very address.
 */
#ifndef SC_ENGINE_H
#define SC_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the engine answers; the driver maps these to CUresult. */
enum sc_status {
    SC_OK = 0,
    SC_ERR_NO_MEMORY,
    SC_ERR_SYNTAX,      /* not PTX, or PTX that the parser does not accept; the log says the line */
    SC_ERR_UNSUPPORTED, /* valid PTX that softcuda does not implement; the log says which, where */
    SC_ERR_UNRESOLVED,  /* an extern symbol has no definition */
    SC_ERR_INVALID,     /* bad argument: block too large, shared memory above the limit, ... */
    SC_ERR_FAULT,       /* a kernel touched memory outside its allocations */
    SC_ERR_MISALIGNED,
    SC_ERR_TRAP,    /* trap, brkpt */
    SC_ERR_STACK,   /* call depth or local memory exhausted */
    SC_ERR_TIMEOUT, /* stopped by the watchdog */
    SC_ERR_ASSERT,  /* a failed assert; its text went to stderr */
    SC_ERR_ABORTED, /* *abort became non-zero (context destroyed) */
};

enum {
    SC_WARP = 32,
    SC_MAX_THREADS = 1024,           /* per block */
    SC_MAX_SHARED = 48 * 1024,       /* bytes, static + dynamic, default */
    SC_MAX_SHARED_OPTIN = 96 * 1024, /* bytes, after opting in by function attribute */
    /* Of a "multiprocessor", which is one of the engine's threads. These limits are for the
     * functions of occupancy only, so that programs which compute with it find a GPU's numbers. */
    SC_BLOCKS_PER_SM = 32,
    SC_THREADS_PER_SM = 2048,
    SC_SHARED_PER_SM = 100 * 1024,
    SC_REGISTERS = 65536,
    SC_REGISTER_UNIT = 8, /* a thread gets a multiple of it */
    SC_MAX_REGISTERS = 255,
};

/* --- modules ---------------------------------------------------------------------------------- */

struct sc_module;
struct sc_func;

/* `ptx` need not end in NUL. On failure *out is NULL and `log` (may be NULL) holds a text that ends
 * in NUL and names line and token. On success `log` names the kernels that are refused
 * (sc_func_info), or is empty. */
enum sc_status sc_module_create(const char *ptx, size_t len, char *log, size_t log_size,
                                struct sc_module **out);
/* No launch of the module may be in progress. */
void sc_module_destroy(struct sc_module *m);

/* Module-scope .global and .const variables: the driver allocates `size` bytes of device memory
 * for each, calls sc_module_place, and, when all are placed, sc_module_link, which writes the
 * initial values (zero by default, addresses of other variables resolved) into that memory. */
struct sc_var {
    const char *name;
    uint64_t size, align; /* bytes */
    bool constant;        /* .const: kernels may read it only */
    bool managed;
    bool external; /* only declared: the driver places it where it is already, if it knows */
};
unsigned sc_module_var_count(const struct sc_module *m);
const struct sc_var *sc_module_var(const struct sc_module *m, unsigned i);
void sc_module_place(struct sc_module *m, unsigned i, void *address);
/* SC_ERR_UNRESOLVED: a variable is only declared, and was given no place. sc_module_link asks too.
 * Without an error `log` stays as it was. */
enum sc_status sc_module_resolved(const struct sc_module *m, char *log, size_t log_size);
enum sc_status sc_module_link(struct sc_module *m, char *log, size_t log_size);

unsigned sc_module_func_count(const struct sc_module *m); /* .entry functions only */
struct sc_func *sc_module_func(struct sc_module *m, unsigned i);
struct sc_func *sc_module_find(struct sc_module *m, const char *name); /* NULL if there is none */

struct sc_param {
    uint32_t offset, size; /* bytes, in the parameter block */
};
struct sc_func_info {
    const char *name;
    const struct sc_param *params;
    unsigned param_count;
    uint32_t param_bytes;   /* size of the whole parameter block */
    uint32_t static_shared; /* bytes */
    uint32_t local_bytes;   /* bytes per thread */
    uint32_t const_bytes;
    uint32_t registers;   /* a plausible count: max_threads threads have room on a multiprocessor */
    uint32_t max_threads; /* from .maxntid, else SC_MAX_THREADS */
    uint32_t ptx_version; /* major * 10 + minor */
    uint32_t target;      /* e.g. 75 for sm_75 */
    /* NULL, or why it cannot be launched: it, or a function that it calls, needs what softcuda does
     * not implement. Names the line of the PTX and the instruction. */
    const char *refused;
};
const struct sc_func_info *sc_func_info(const struct sc_func *f);

/* --- memory ----------------------------------------------------------------------------------- */

/* A sorted, non-overlapping, immutable snapshot: the driver makes a new one when memory changes and
 * keeps the old until no launch uses it. */
struct sc_range {
    uint64_t start, end; /* [start, end) */
    bool writable;
};
struct sc_memmap {
    unsigned count;
    const struct sc_range *ranges;
};

/* --- launches --------------------------------------------------------------------------------- */

struct sc_launch {
    const struct sc_func *func;
    uint32_t grid[3], block[3];
    uint32_t dynamic_shared; /* bytes */
    uint32_t max_shared; /* bytes, static + dynamic: SC_MAX_SHARED or the function attribute's */
    const void *params;  /* param_bytes long; the engine copies it */
    const struct sc_memmap *memmap; /* must outlive the launch */
    const _Atomic int *abort;       /* may be NULL; checked at least every few ms */
    uint64_t timeout_ns;            /* of wall time, 0: none; the watchdog */
    bool cooperative;               /* grid-wide sync: all blocks must be resident */
    void (*print)(void *opaque, const char *text, size_t len); /* vprintf's output; NULL: stdout */
    /* The text of a failed assert; NULL: to stderr. */
    void (*complain)(void *opaque, const char *text, size_t len);
    void *print_opaque;
    /* malloc and free in kernels; NULL: malloc returns NULL. */
    void *(*device_malloc)(void *opaque, uint64_t size);
    void (*device_free)(void *opaque, void *p);
    void *malloc_opaque;
};

/* The fault of a kernel, for the log. */
struct sc_fault {
    uint64_t address;
    uint32_t size;
    bool write;
    uint32_t line; /* of the PTX */
    uint32_t block[3], thread[3];
};

/* Runs the grid on the calling thread and on the engine's pool (as many threads as there are CPUs
 * this process may use) and returns when every block is done. Thread-safe; concurrent launches
 * share the pool. A grid too small to be worth waking the pool runs on the caller alone. `fault`
 * may be NULL; it is filled for SC_ERR_FAULT, SC_ERR_MISALIGNED and SC_ERR_TRAP. */
enum sc_status sc_launch_run(const struct sc_launch *l, struct sc_fault *fault);

/* For how many blocks of a cooperative launch each engine thread has memory; at least 1. */
unsigned sc_func_resident(const struct sc_func *f, uint32_t threads, uint32_t dynamic_shared);

/* Threads that run kernels, the caller included: SOFTCUDA_THREADS in the environment sets it. */
unsigned sc_engine_threads(void);

#endif

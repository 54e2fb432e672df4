/* What a stream's consumer does with an operation. */
#include <stdlib.h>
#include <string.h>

#include "softcuda/driver/sc.h"
#include "softcuda/preempt.h"

#define CHUNK (8u << 20) /* bytes moved between looks at the gate */

static void launch_run(struct sc_stream *s, const struct sc_op *op)
{
    struct sc_ctx *ctx = s->ctx;
    const struct sc_function *fn = op->launch.fn;
    struct sc_fault fault = {0};

    s->snapshot = sc_snapshot_renew(s->snapshot);
    if (!s->snapshot) {
        sc_ctx_fail(ctx, CUDA_ERROR_OUT_OF_MEMORY);
        return;
    }
    struct sc_launch l = {
        .func = fn->func,
        .grid = {op->launch.grid[0], op->launch.grid[1], op->launch.grid[2]},
        .block = {op->launch.block[0], op->launch.block[1], op->launch.block[2]},
        .dynamic_shared = op->launch.shared,
        .max_shared = op->launch.max_shared,
        .params = op->launch.params ? op->launch.params : op->launch.inline_params,
        .memmap = &s->snapshot->map,
        .abort = &ctx->abort,
        .timeout_ns = sc_settings.timeout_ns,
        .cooperative = op->launch.cooperative,
        .print = sc_print,
        .complain = sc_print_error,
        .print_opaque = ctx,
        .device_malloc = sc_heap_alloc,
        .device_free = sc_heap_free,
        .malloc_opaque = ctx,
    };
    enum sc_status status = sc_launch_run(&l, &fault);
    if (XG_LIKELY(status == SC_OK))
        return;
    sc_say("kernel %s failed (%d): %s of %u bytes at 0x%llx, PTX line %u, block (%u,%u,%u) thread "
           "(%u,%u,%u)",
           fn->info->name, status, fault.write ? "write" : "read", fault.size,
           (unsigned long long)fault.address, fault.line, fault.block[0], fault.block[1],
           fault.block[2], fault.thread[0], fault.thread[1], fault.thread[2]);
    sc_ctx_fail(ctx, sc_result(status)); /* whoever waits may end the process then */
}

/* Ranges that overlap are moved at once. */
static void bytes_move(uint8_t *dst, const uint8_t *src, uint64_t n)
{
    if (dst < src + n && src < dst + n) {
        memmove(dst, src, n);
        return;
    }
    for (uint64_t at = 0; at < n; at += CHUNK) {
        sc_gate_pass();
        memcpy(dst + at, src + at, xg_min_u64(n - at, CHUNK));
    }
}

static void box_move(const struct sc_copy *c)
{
    uint8_t *dst = (uint8_t *)c->dst;
    const uint8_t *src = (const uint8_t *)c->src;

    bool rows_touch = c->height == 1 || (c->dst_pitch == c->width && c->src_pitch == c->width);
    bool slices_touch = c->depth == 1 || (c->dst_slice == c->width * c->height &&
                                          c->src_slice == c->width * c->height);
    if (rows_touch && slices_touch) {
        bytes_move(dst, src, c->width * c->height * c->depth);
        return;
    }
    for (uint64_t z = 0; z < c->depth; z++)
        for (uint64_t y = 0; y < c->height; y++)
            bytes_move(dst + z * c->dst_slice + y * c->dst_pitch,
                       src + z * c->src_slice + y * c->src_pitch, c->width);
}

void sc_copy_run(const struct sc_copy *c)
{
    if (!c->width || !c->height || !c->depth)
        return;
    sc_gate_enter();
    box_move(c);
    sc_gate_leave();
}

static void set_row(uint8_t *row, uint64_t width, uint32_t value, uint32_t element)
{
    if (element == 1) {
        memset(row, (int)(value & 0xff), width);
    } else if (element == 2) {
        uint16_t *p = (uint16_t *)row;
        for (uint64_t i = 0; i < width; i++)
            p[i] = (uint16_t)value;
    } else {
        uint32_t *p = (uint32_t *)row;
        for (uint64_t i = 0; i < width; i++)
            p[i] = value;
    }
}

void sc_set_run(const struct sc_set *c)
{
    uint64_t most = CHUNK / c->element;

    sc_gate_enter();
    for (uint64_t y = 0; y < c->height; y++)
        for (uint64_t x = 0; x < c->width; x += most) {
            sc_gate_pass();
            set_row((uint8_t *)c->dst + y * c->pitch + x * c->element,
                    xg_min_u64(c->width - x, most), c->value, c->element);
        }
    sc_gate_leave();
}

static bool value_holds(const struct sc_op *op)
{
    uint64_t now, want = op->value.value;

    if (op->value.size == 4) {
        uint32_t v = __atomic_load_n((const uint32_t *)op->value.address, __ATOMIC_ACQUIRE);
        switch (op->value.flags & 3) {
        case CU_STREAM_WAIT_VALUE_GEQ: return (int32_t)(v - (uint32_t)want) >= 0;
        case CU_STREAM_WAIT_VALUE_EQ: return v == (uint32_t)want;
        case CU_STREAM_WAIT_VALUE_AND: return (v & (uint32_t)want) != 0;
        default: return ~(v | (uint32_t)want) != 0;
        }
    }
    now = __atomic_load_n((const uint64_t *)op->value.address, __ATOMIC_ACQUIRE);
    switch (op->value.flags & 3) {
    case CU_STREAM_WAIT_VALUE_GEQ: return (int64_t)(now - want) >= 0;
    case CU_STREAM_WAIT_VALUE_EQ: return now == want;
    case CU_STREAM_WAIT_VALUE_AND: return (now & want) != 0;
    default: return ~(now | want) != 0;
    }
}

static void value_wait(struct sc_stream *s, const struct sc_op *op)
{
    unsigned turns = 0;

    while (!value_holds(op) && !atomic_load_explicit(&s->ctx->abort, memory_order_relaxed) &&
           !atomic_load(&s->ctx->sticky)) {
        if (++turns < 1000) {
            xg_cpu_relax();
            continue;
        }
        struct timespec ts = {0, turns < 2000 ? 10000 : 200000};
        nanosleep(&ts, NULL);
    }
}

static void value_write(const struct sc_op *op)
{
    if (op->value.size == 4)
        __atomic_store_n((uint32_t *)op->value.address, (uint32_t)op->value.value,
                         __ATOMIC_RELEASE);
    else
        __atomic_store_n((uint64_t *)op->value.address, op->value.value, __ATOMIC_RELEASE);
}

static void memory_free(uint64_t address)
{
    struct sc_mem m;

    if (sc_mem_remove(address, SC_MASK_DEVICE, &m))
        sc_mem_release(&m);
}

void sc_op_run(struct sc_stream *s, struct sc_op *op)
{
    bool failed = atomic_load_explicit(&s->ctx->sticky, memory_order_relaxed) != CUDA_SUCCESS;

    switch ((enum sc_op_type)op->type) {
    case SC_OP_NOP: break;
    case SC_OP_LAUNCH:
        if (!failed)
            launch_run(s, op);
        break;
    case SC_OP_COPY:
        if (!failed)
            sc_copy_run(&op->copy.box);
        break;
    case SC_OP_SET:
        if (!failed)
            sc_set_run(&op->set);
        break;
    case SC_OP_HOST:
        sc_print_flush(s->ctx);
        xg_cuda_in_host_function = true;
        if (!failed)
            op->host.fn(op->host.data);
        xg_cuda_in_host_function = false;
        break;
    case SC_OP_CALLBACK:
        sc_print_flush(s->ctx);
        xg_cuda_in_host_function = true;
        op->callback.fn(op->callback.stream, (CUresult)atomic_load(&s->ctx->sticky),
                        op->callback.data);
        xg_cuda_in_host_function = false;
        break;
    case SC_OP_RECORD: sc_event_stamp(op->record.event, op->record.record_id); break;
    case SC_OP_WAIT: sc_stream_wait_seq(op->wait.stream, op->wait.seq); break;
    case SC_OP_FREE: memory_free(op->free.address); break;
    case SC_OP_VALUE_WRITE:
        if (!failed)
            value_write(op);
        break;
    case SC_OP_VALUE_WAIT:
        if (!failed)
            value_wait(s, op);
        break;
    }
}

void sc_op_release(struct sc_op *op)
{
    switch ((enum sc_op_type)op->type) {
    case SC_OP_LAUNCH:
        sc_module_put(op->launch.fn->module);
        free(op->launch.params);
        break;
    case SC_OP_COPY: free(op->copy.staging); break;
    case SC_OP_RECORD: sc_event_put(op->record.event); break;
    case SC_OP_WAIT: sc_stream_put(op->wait.stream); break;
    default: break;
    }
}

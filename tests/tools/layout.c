/*
 * Prints what tests in Python need of the contract, as the compiler has it: lib/layout.py reads it.
 *
 *     NAME NUMBER                  a constant
 *     RECORD.FIELD OFFSET FORMAT   a field; FORMAT as the module struct has it
 *     RECORD SIZE                  behind its fields
 */
#include "cuda/ops.h"
#include "protocol/control.h"
#include "protocol/cuda/wire.h"
#include "protocol/device.h"
#include "protocol/local.h"

#include <stdio.h>
#include <string.h>

#define CONSTANT(c) printf("%s %lld\n", #c, (long long)(c))
/* One of a structure inside has its own name alone. */
#define FIELD(record, field)                                                                       \
    field_print(#record, #field, offsetof(struct xg_##record, field),                              \
                sizeof(((struct xg_##record *)0)->field), 1,                                       \
                (__typeof__(+((struct xg_##record *)0)->field))(-1) < 1)
#define ARRAY(record, field)                                                                       \
    field_print(#record, #field, offsetof(struct xg_##record, field),                              \
                sizeof(((struct xg_##record *)0)->field[0]),                                       \
                XG_ARRAY_LEN(((struct xg_##record *)0)->field), false)
#define RECORD(record) printf("%s %zu\n", #record, sizeof(struct xg_##record))

static char letter(size_t size, bool is_signed)
{
    static const char plain[9] = " BH I   Q", with_sign[9] = " bh i   q";

    return is_signed ? with_sign[size] : plain[size];
}

static void field_print(const char *record, const char *field, size_t at, size_t size, size_t count,
                        bool is_signed)
{
    const char *dot = strrchr(field, '.');

    printf("%s.%s %zu ", record, dot ? dot + 1 : field, at);
    if (size > 8 || (size == 1 && count > 1)) /* records, text */
        printf("%zus\n", size * count);
    else if (count > 1)
        printf("%zu%c\n", count, letter(size, false));
    else
        printf("%c\n", letter(size, is_signed && size >= 4));
}

static void constants(void)
{
    CONSTANT(XG_PAGE_SIZE);
    CONSTANT(XG_PROTOCOL_VERSION);
    CONSTANT(XG_HELLO_MAGIC);
    CONSTANT(XG_WELCOME_MAGIC);
    CONSTANT(XG_CHANNEL_MAGIC);
    CONSTANT(XG_RING_MAGIC);
    CONSTANT(XG_RING_VERSION);
    CONSTANT(XG_RINGS_MAX);
    CONSTANT(XG_CMD_ORDER_MIN);
    CONSTANT(XG_CMD_ORDER_MAX);
    CONSTANT(XG_REPLY_ORDER_MAX);
    CONSTANT(XG_OP_PAD);
    CONSTANT(XG_FRAME_CALL);
    CONSTANT(XG_OP_API_SHIFT);
    CONSTANT(XG_API_GL);
    CONSTANT(XG_API_WSI);
    CONSTANT(XG_API_CUDA);
    CONSTANT(XG_RING_PROTOCOL);
    CONSTANT(XG_CONTROL_MAGIC);
    CONSTANT(XG_CONTROL_VERSION);
    CONSTANT(XG_CONTROL_REQUESTS);
    CONSTANT(XG_CONTROL_MESSAGES);
    CONSTANT(XG_CHANNELS_MAX);
    CONSTANT(XG_CONTROL_OPEN);
    CONSTANT(XG_CONTROL_CLOSE);
    CONSTANT(XG_CONTROL_REPLY);
    CONSTANT(XG_CONTROL_GONE);
    CONSTANT(XG_XENBUS_INITIALISING);
    CONSTANT(XG_XENBUS_INIT_WAIT);
    CONSTANT(XG_XENBUS_INITIALISED);
    CONSTANT(XG_XENBUS_CONNECTED);
    CONSTANT(XG_XENBUS_CLOSING);
    CONSTANT(XG_XENBUS_CLOSED);
    CONSTANT(XG_DIRECTORY_REFS);
    CONSTANT(XG_LOCAL_READ);
    CONSTANT(XG_LOCAL_WRITE);
    CONSTANT(XG_LOCAL_WATCH);
    CONSTANT(XG_LOCAL_GRANT);
    CONSTANT(XG_LOCAL_REVOKE);
    CONSTANT(XG_LOCAL_PORTS);
    CONSTANT(XG_LOCAL_NOTIFY);
    CONSTANT(XG_LOCAL_ANSWER);
    CONSTANT(XG_LOCAL_EVENT);
    CONSTANT(XG_LOCAL_PAGE_BITS);
    CONSTANT(XG_CUDA_WIRE_VERSION);
    CONSTANT(XG_CUDA_OP_INIT);
    CONSTANT(XG_CUDA_OP_HOST_CALL);
    CONSTANT(XG_CUDA_OP_HOST_NEXT);
}

static void channel(void)
{
    FIELD(channel_page, magic);
    FIELD(channel_page, version);
    FIELD(channel_page, error);
    RECORD(channel_page);
    FIELD(ring_page, magic);
    FIELD(ring_page, version);
    FIELD(ring_page, cmd_order);
    FIELD(ring_page, reply_order);
    FIELD(ring_page, cmd_prod);
    FIELD(ring_page, reply_cons);
    FIELD(ring_page, cmd_cons);
    FIELD(ring_page, cmd_done);
    FIELD(ring_page, reply_prod);
    FIELD(ring_page, error);
    RECORD(ring_page);
    FIELD(frame, op);
    FIELD(frame, flags);
    FIELD(frame, size);
    RECORD(frame);
    FIELD(ticket, ticket);
    RECORD(ticket);
    FIELD(blob, size);
    FIELD(blob, where);
    RECORD(blob);
}

static void device(void)
{
    FIELD(hello, magic);
    FIELD(hello, version);
    FIELD(hello, pid);
    ARRAY(hello, command);
    RECORD(hello);
    FIELD(welcome, magic);
    FIELD(welcome, version);
    FIELD(welcome, status);
    FIELD(welcome, platform);
    FIELD(welcome, geometry.ring_count);
    FIELD(welcome, geometry.cmd_order);
    FIELD(welcome, geometry.reply_order);
    FIELD(welcome, geometry.arena_pages);
    FIELD(welcome, map_offset);
    ARRAY(welcome, port);
    ARRAY(welcome, guest);
    ARRAY(welcome, text);
    RECORD(welcome);
    FIELD(local_message, type);
    FIELD(local_message, length);
    FIELD(local_message, id);
    FIELD(local_message, number);
    ARRAY(local_message, text);
    RECORD(local_message);
}

static void control(void)
{
    FIELD(control_page, magic);
    FIELD(control_page, version);
    FIELD(control_page, front_alive);
    FIELD(control_page, req_prod);
    FIELD(control_page, msg_cons);
    FIELD(control_page, req_cons);
    FIELD(control_page, msg_prod);
    FIELD(control_page, back_alive);
    ARRAY(control_page, message);
    ARRAY(control_page, request);
    RECORD(control_page);
    FIELD(control_request, op);
    FIELD(control_request, id);
    FIELD(control_request, channel);
    ARRAY(control_request, raw);
    RECORD(control_request);
    FIELD(control_open, geometry.ring_count);
    FIELD(control_open, geometry.cmd_order);
    FIELD(control_open, geometry.reply_order);
    FIELD(control_open, geometry.arena_pages);
    FIELD(control_open, directory);
    FIELD(control_open, pid);
    ARRAY(control_open, command);
    ARRAY(control_open, port);
    RECORD(control_open);
    FIELD(control_message, type);
    FIELD(control_message, op);
    FIELD(control_message, id);
    FIELD(control_message, channel);
    FIELD(control_message, status);
    FIELD(control_message, reason);
    ARRAY(control_message, text);
    RECORD(control_message);
    FIELD(directory_page, next);
    FIELD(directory_page, count);
    ARRAY(directory_page, ref);
    RECORD(directory_page);
}

static void cuda(void)
{
    FIELD(cuda_init, version);
    FIELD(cuda_init, shared);
    FIELD(cuda_init, window);
    FIELD(cuda_init, window_size);
    FIELD(cuda_init, snapshot);
    RECORD(cuda_init);
}

int main(void)
{
    constants();
    channel();
    device();
    control();
    cuda();
    return 0;
}

/* The broker in local mode: a guest's agent that says what it likes on its socket, with and without
 * descriptors, and writes its control page and segments, while workers crash and an operator takes
 * the guest away. Afterwards another guest is served as before, and no descriptor is left. */
#include "backend/broker/sockets.h"
#include "protocol/fdpass.h"
#include "protocol/local.h"
#include "tests/fuzz/steps.h"
#include "tests/unit/broker_bed.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { SEGMENT = 5, PAGES = 32, PORT = 7, RING_PORT = 100 };
_Static_assert(PAGES >= 4 + (1 << XG_CMD_ORDER_MIN), "the smallest channel lies there");
enum {
    CONNECT,
    MESSAGE,
    RAW,
    PAGE,
    REQUEST,
    NOTIFY,
    WAIT,
    MEMORY,
    CRASH,
    TAKE,
    HANGUP,
    SECOND,
    DRAIN,
    OPERATOR,
    NODE,
    COST,
    KINDS
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct agent {
    const char *guest;
    int sock;
    uint32_t ports;
    uint8_t *memory; /* of segment SEGMENT: its first page is the control page */
    struct xg_control_page *page;
    uint32_t req_prod, msg_cons;
};

static char directory[] = "/tmp/fuzz_local-XXXXXX";
static struct agent bad = {.guest = "bad", .sock = -1}, good = {.guest = "good", .sock = -1};

/* --- an agent --------------------------------------------------------------------------------- */

static int agent_dial(const struct agent *a)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    xg_socket_store(&bed_broker, a->guest, addr.sun_path, sizeof(addr.sun_path));
    if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        close(sock);
        return -1;
    }
    bed_run();
    return sock;
}

static void agent_drain(struct agent *a)
{
    struct xg_local_message m;

    while (a->sock >= 0 && recv(a->sock, &m, sizeof(m), 0) > 0)
        ;
}

static void agent_say(struct agent *a, struct xg_local_message *m, const int *fds, unsigned count)
{
    (void)xg_fds_send(a->sock, m, XG_LOCAL_HEADER + m->length, fds, count, 0);
    bed_run();
}

static void agent_write(struct agent *a, const char *node, const char *value, size_t size)
{
    struct xg_local_message m = {.type = XG_LOCAL_WRITE};
    int n = snprintf(m.text, sizeof(m.text), XG_LOCAL_FRONT "/%s", node);

    if ((size_t)n + 2 + size > sizeof(m.text))
        return;
    memcpy(m.text + n + 1, value, size);
    m.length = (uint16_t)((size_t)n + 2 + size);
    agent_say(a, &m, NULL, 0);
}

static void agent_number(struct agent *a, const char *node, uint32_t value)
{
    char text[16];

    agent_write(a, node, text, (size_t)snprintf(text, sizeof(text), "%u", value));
}

static void agent_end(struct agent *a)
{
    if (a->sock >= 0)
        close(a->sock);
    a->sock = -1;
    if (a->memory)
        munmap(a->memory, PAGES * XG_PAGE_SIZE);
    a->memory = NULL;
    a->page = NULL;
    bed_run();
}

static int sealed(uint64_t pages, int seals)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (ftruncate(fd, (off_t)(pages << XG_PAGE_SHIFT)) < 0 || fcntl(fd, F_ADD_SEALS, seals) < 0)
        abort();
    return fd;
}

static void memory_grant(struct agent *a)
{
    struct xg_local_message m = {.type = XG_LOCAL_GRANT, .number = SEGMENT};
    int fd = sealed(PAGES, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);

    a->memory = mmap(NULL, PAGES * XG_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (a->memory == MAP_FAILED)
        abort();
    a->page = (void *)a->memory;
    a->page->magic = XG_CONTROL_MAGIC;
    a->page->version = XG_CONTROL_VERSION;
    a->page->front_alive = 1;
    agent_say(a, &m, &fd, 1);
    close(fd);
}

/* From wherever it is to state 4 on both sides. */
static void agent_connect(struct agent *a)
{
    agent_end(a);
    bed_wait(600);
    a->sock = agent_dial(a);
    if (a->sock < 0)
        return;
    a->req_prod = a->msg_cons = 0;
    a->ports = RING_PORT;
    struct xg_local_message watch = {.type = XG_LOCAL_WATCH, .length = 2, .text = "x"};
    agent_say(a, &watch, NULL, 0);
    memory_grant(a);
    agent_number(a, XG_NODE_RING_REF, xg_local_ref(SEGMENT, 0));
    agent_number(a, XG_NODE_EVENT_CHANNEL, PORT);
    agent_number(a, XG_NODE_VERSION, 1);
    agent_number(a, XG_NODE_STATE, XG_XENBUS_INITIALISED);
    agent_number(a, XG_NODE_STATE, XG_XENBUS_CONNECTED);
    agent_drain(a);
}

static void agent_notify(struct agent *a)
{
    struct xg_local_message m = {.type = XG_LOCAL_NOTIFY, .number = PORT};

    agent_say(a, &m, NULL, 0);
}

static void agent_put(struct agent *a, const struct xg_control_request *rq)
{
    a->page->request[a->req_prod % XG_CONTROL_REQUESTS] = *rq;
    a->page->req_prod = ++a->req_prod;
    agent_notify(a);
}

static struct xg_control_request request_open(struct agent *a, uint32_t channel)
{
    int fds[2] = {eventfd(0, EFD_CLOEXEC), eventfd(0, EFD_CLOEXEC)};
    struct xg_local_message m = {.type = XG_LOCAL_PORTS, .number = (int32_t)a->ports};
    struct xg_control_request rq = {.op = XG_CONTROL_OPEN, .channel = channel, .id = a->req_prod};
    struct xg_directory_page *d = (void *)(a->memory + XG_PAGE_SIZE);

    *d = (struct xg_directory_page){.count = 1, .ref = {xg_local_ref(SEGMENT, 0)}};
    rq.open.geometry =
        (struct xg_geometry){.ring_count = 1, .cmd_order = XG_CMD_ORDER_MIN, .arena_pages = 1};
    rq.open.directory = xg_local_ref(SEGMENT, 1);
    rq.open.port[0] = a->ports++;
    agent_say(a, &m, fds, 2);
    xg_fds_close(fds, 2);
    return rq;
}

/* Its status; 1: there is no answer. */
static int agent_ask(struct agent *a, const struct xg_control_request *rq)
{
    agent_put(a, rq);
    for (unsigned i = 0; i < 20; i++) {
        while (a->page->msg_prod != a->msg_cons) {
            struct xg_control_message m = a->page->message[a->msg_cons % XG_CONTROL_MESSAGES];
            a->page->msg_cons = ++a->msg_cons;
            if (m.type == XG_CONTROL_REPLY && m.id == rq->id)
                return m.status;
        }
        agent_drain(a);
        bed_wait(100);
    }
    return 1;
}

static bool agent_alive(struct agent *a)
{
    struct xg_control_request rq = request_open(a, 1);
    struct xg_control_request shut = {
        .op = XG_CONTROL_CLOSE, .channel = 1, .id = 0x40000000u + a->req_prod};

    return !agent_ask(a, &rq) && !agent_ask(a, &shut);
}

/* --- steps ------------------------------------------------------------------------------------ */

static int descriptor(unsigned kind)
{
    int pair[2];

    switch (kind % 8) {
    case 0: return sealed(1, F_SEAL_SHRINK);
    case 1: return sealed(PAGES, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    case 2: return sealed(4, F_SEAL_GROW);
    case 3: return sealed(0, F_SEAL_SHRINK);
    case 4:
        if (pipe2(pair, O_CLOEXEC) < 0)
            abort();
        close(pair[1]);
        return pair[0];
    case 5: return open("/dev/zero", O_RDWR | O_CLOEXEC);
    default: return eventfd(0, EFD_CLOEXEC);
    }
}

/* A message whose text is the bytes behind its number and its descriptors' kinds. */
static void message_step(const struct fuzz_step *s)
{
    struct xg_local_message m = {
        .type = s->where & 15, .number = (int32_t)fuzz_number(s, 0, 4), .id = s->where};
    int fds[XG_FDS_MAX];
    unsigned count = fuzz_number(s, 4, 1) % (XG_FDS_MAX + 1), kinds = fuzz_number(s, 5, 1);

    if (bad.sock < 0)
        return;
    if (s->where & 16)
        m.number &= 7;
    for (unsigned i = 0; i < count; i++)
        fds[i] = descriptor(kinds + i / 2);
    m.length = (uint16_t)(s->size > 6 ? xg_min_u64(s->size - 6u, sizeof(m.text)) : 0);
    memcpy(m.text, s->bytes + 6, m.length);
    if (m.length && !(s->where & 32))
        m.text[m.length - 1] = 0;
    agent_say(&bad, &m, fds, count);
    xg_fds_close(fds, count);
}

static void raw_step(const struct fuzz_step *s)
{
    if (bad.sock >= 0 && s->size)
        (void)xg_fds_send(bad.sock, s->bytes, s->size, NULL, 0, 0);
    bed_run();
}

static void request_step(const struct fuzz_step *s)
{
    struct xg_control_request rq = {
        .op = XG_CONTROL_CLOSE, .id = bad.req_prod, .channel = s->where & 3};

    if (bad.sock < 0 || !bad.page)
        return;
    if (!(s->where & 4))
        rq = request_open(&bad, s->where & 3);
    fuzz_lay(s, 0, &rq, s->where & 8 ? 0 : 16, sizeof(rq));
    agent_put(&bad, &rq);
}

static void node_step(const struct fuzz_step *s)
{
    static const char *const names[] = {"state",   "version",    "ring-ref", "event-channel",
                                        "backend", "backend-id", "",         "more"};

    if (bad.sock >= 0)
        agent_write(&bad, names[s->where % XG_ARRAY_LEN(names)], (const char *)s->bytes, s->size);
}

static void attach(const char *name)
{
    struct xg_settings own = {.policy = {.memory = UINT64_MAX}, .without_agent = true};
    struct xg_guest *g;
    struct xg_why why;

    (void)xg_guest_attach(&bed_broker, name, 0, &own, &g, &why);
    bed_run();
}

static void operator_step(const struct fuzz_step *s)
{
    struct xg_guest *g = xg_guest_find(&bed_broker, "bad");

    if (!g)
        attach("bad");
    else
        xg_guest_detach(g, NULL, NULL);
    if (s->where & 1)
        bed_wait(600);
    bed_run();
}

static void second_step(void)
{
    int sock = agent_dial(&bad);

    if (sock >= 0)
        close(sock);
    bed_run();
}

static void step_do(const struct fuzz_step *s)
{
    switch (s->what % KINDS) {
    case CONNECT: agent_connect(&bad); break;
    case MESSAGE: message_step(s); break;
    case RAW: raw_step(s); break;
    case PAGE:
        if (bad.memory)
            fuzz_lay(s, 0, bad.memory, s->where * 16u, XG_PAGE_SIZE);
        break;
    case REQUEST: request_step(s); break;
    case NOTIFY:
        if (bad.sock >= 0)
            agent_notify(&bad);
        break;
    case WAIT: bed_wait(s->where * 16u); break;
    case MEMORY:
        if (bad.memory)
            fuzz_lay(s, 0, bad.memory, XG_PAGE_SIZE + s->where * 16u, PAGES * XG_PAGE_SIZE);
        break;
    case CRASH: bed_crash(); break;
    case TAKE:
        if (bad.page)
            bad.page->msg_cons = bad.msg_cons = bad.page->msg_prod;
        break;
    case HANGUP: agent_end(&bad); break;
    case SECOND: second_step(); break;
    case DRAIN: agent_drain(&bad); break;
    case OPERATOR: operator_step(s); break;
    case NODE: node_step(s); break;
    case COST:
        bed_cost_ns = s->where * 100000u;
        break; /* what it does is dear: it gets into debt */
    default: break;
    }
}

static void end(void)
{
    bed_cost_ns = 0;
    bed_wait(1000000); /* any debt is paid by then */
    fuzz_must(agent_alive(&good));
    if (!xg_guest_find(&bed_broker, "bad"))
        attach("bad");
    agent_connect(&bad); /* the next agent of that guest finds all in order */
    fuzz_must(agent_alive(&bad));
    agent_end(&bad);
    agent_end(&good);
    bed_wait(600);
    fuzz_must(!bed_workers);
    bed_stop();
}

static void begin(void)
{
    if (strstr(directory, "XXXXXX") && !mkdtemp(directory))
        abort();
    bed_start_local(directory);
    attach("good");
    attach("bad");
    agent_connect(&good);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_play(data, size, begin, step_do, end);
    fuzz_descriptors_settle();
    return 0;
}

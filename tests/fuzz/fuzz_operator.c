/* The operator's socket and what children write: requests in any form and in pieces, clients that
 * do not read or hang up, and a worker's output of any bytes, before the broker in local mode.
 * Afterwards a request is answered as ever, and no client and no descriptor is left. */
#include "backend/broker/operator.h"
#include "backend/broker/relay.h"
#include "backend/broker/reload.h"
#include "backend/broker/report.h"
#include "tests/fuzz/steps.h"
#include "tests/unit/broker_bed.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENTS = 8, RELAYS = 4 };
enum { DIAL, LINE, BYTES, REQUEST, READ, HANGUP, WAIT, OUTPUT, CHILD, CHILD_ENDS, SHUT, KINDS };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char directory[] = "/tmp/fuzz_operator-XXXXXX";
static int client[CLIENTS], output[RELAYS];
static struct xg_relay *relay[RELAYS];

/* --- what needs devices: report.c and reload.c ------------------------------------------------ */

json_t *xg_json_text(const char *text)
{
    return json_string(text);
}
json_t *xg_report(const struct xg_broker *b)
{
    return json_pack("{s:[]}", "guests");
}
json_t *xg_report_types(const struct xg_broker *b)
{
    return json_pack("{s:[]}", "types");
}
json_t *xg_config_reload(struct xg_broker *b, char **errors)
{
    *errors = strdup("there is no file");
    return NULL;
}

/* --- clients ---------------------------------------------------------------------------------- */

static int dial(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/control.sock",
             bed_broker.options.socket_dir);
    if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
        close(sock);
        return -1;
    }
    bed_run();
    return sock;
}

static void say(int sock, const void *data, size_t size)
{
    if (sock >= 0 && size && send(sock, data, size, MSG_NOSIGNAL) < 0)
        return;
    bed_run();
}

static void drop(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    bed_run();
}

/* Requests that mean something, with the step's bytes as a value. */
static void request_step(const struct fuzz_step *s, int sock)
{
    static const char *const forms[] = {
        "{\"cmd\":\"ping\"}\n",
        "{\"cmd\":\"list\"}\n",
        "{\"cmd\":\"types\"}\n",
        "{\"cmd\":\"reload\"}\n",
        "{\"cmd\":\"attach\",\"guest\":\"%s\",\"set\":{\"agent\":\"no\"}}\n",
        "{\"cmd\":\"attach\",\"guest\":\"a\",\"set\":{\"agent\":\"no\",\"weight\":\"%s\"}}\n",
        "{\"cmd\":\"attach\",\"guest\":\"a\",\"new\":true,\"set\":%s}\n",
        "{\"cmd\":\"detach\",\"guest\":\"%s\"}\n",
        "{\"cmd\":\"set\",\"guest\":\"a\",\"set\":{%s}}\n",
        "{\"cmd\":\"set\",\"guest\":\"a\",\"set\":{\"memory\":\"%s\"}}\n",
        "{\"cmd\":\"attach\",\"guest\":\"b\",\"set\":{\"%s\":\"1\"}}\n",
        "{\"cmd\":\"attach\",\"guest\":\"c\"}\n"};
    char value[257] = "", line[600];

    fuzz_lay(s, 0, value, 0, sizeof(value) - 1);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int n = snprintf(line, sizeof(line), forms[s->where / CLIENTS % XG_ARRAY_LEN(forms)], value);
#pragma GCC diagnostic pop
    say(sock, line, (size_t)n);
}

static void read_step(int sock)
{
    char text[4096];

    while (sock >= 0 && recv(sock, text, sizeof(text), 0) > 0)
        ;
    bed_run();
}

static bool answered(void)
{
    char text[256] = "";
    int sock = dial();
    const char ping[] = "{\"cmd\":\"ping\"}\n";

    say(sock, ping, sizeof(ping) - 1);
    bool good =
        sock >= 0 && recv(sock, text, sizeof(text) - 1, 0) > 0 && strstr(text, "\"ok\":true");
    drop(&sock);
    return good;
}

/* --- children's output ------------------------------------------------------------------------ */

static void relay_end(unsigned i)
{
    xg_relay_end(&relay[i]);
    drop(&output[i]);
}

static void relay_step(const struct fuzz_step *s)
{
    unsigned i = s->where % RELAYS;

    switch (s->what % KINDS) {
    case CHILD:
        relay_end(i);
        output[i] = xg_relay_create(s->where & 64 ? "guest" : NULL, "child", &relay[i]);
        fuzz_must(output[i] >= 0);
        if (s->where & 128)
            xg_relay_name(relay[i], "%.*s", (int)s->size, (const char *)s->bytes);
        break;
    case OUTPUT:
        for (unsigned n = 0; output[i] >= 0 && n <= s->where / RELAYS % 8; n++)
            if (write(output[i], s->bytes, s->size) < 0)
                break;
        if (!(s->where & 128))
            bed_run();
        break;
    default: relay_end(i); break;
    }
}

static void step_do(const struct fuzz_step *s)
{
    int *sock = &client[s->where % CLIENTS];

    switch (s->what % KINDS) {
    case DIAL:
        drop(sock);
        *sock = dial();
        break;
    case LINE:
        say(*sock, s->bytes, s->size);
        say(*sock, "\n", 1);
        break;
    case BYTES:
        for (unsigned i = 0; i <= s->where / CLIENTS; i++) /* a line that is too long */
            say(*sock, s->bytes, s->size);
        break;
    case REQUEST: request_step(s, *sock); break;
    case READ: read_step(*sock); break;
    case HANGUP: drop(sock); break;
    case WAIT: bed_wait(s->where * 100u); break;
    case SHUT:
        if (*sock >= 0)
            shutdown(*sock, s->where & 64 ? SHUT_RDWR : SHUT_WR);
        bed_run();
        break;
    default: relay_step(s); break;
    }
}

static void begin(void)
{
    if (strstr(directory, "XXXXXX") && !mkdtemp(directory))
        abort();
    memset(client, -1, sizeof(client));
    memset(output, -1, sizeof(output));
    bed_start_local(directory);
    fuzz_must(!xg_operator_start(&bed_broker));
}

static void end(void)
{
    bed_wait(30000); /* whoever waits for a guest has been answered */
    fuzz_must(answered());
    for (unsigned i = 0; i < CLIENTS; i++)
        drop(&client[i]);
    for (unsigned i = 0; i < RELAYS; i++)
        relay_end(i);
    xg_operator_stop(&bed_broker);
    bed_stop();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_play(data, size, begin, step_do, end);
    fuzz_descriptors_settle();
    return 0;
}

/*
 * The guest agent. device.c: the device node and its control ring. app.c: the applications' sockets
 * and channels. main.c: arguments and the loop. One thread.
 */
#ifndef XG_AGENT_H
#define XG_AGENT_H

#include "frontend/platform/guest.h"
#include "protocol/device.h"
#include "protocol/log.h"

#include <sys/stat.h>

#define APPS_WAITING_MAX 32u /* connections that have no channel yet */

struct app;

struct agent {
    struct xg_guest_platform *guest;
    struct xg_geometry wanted; /* what an application is given, within the backend's limits */
    /* how many pages may be shared in all, 0: any number; how many are */
    uint32_t grants, grants_used;
    int epoll, listener;
    struct stat listened; /* what the listener's name in the file system stands for */
    bool listening, accept_failing;

    /* device.c */
    enum xg_xenbus_state state; /* ours */
    char backend[256];          /* path of the backend's directory */
    char name[64];              /* of the guest */
    uint32_t max_channels;
    uint64_t memory_limit;
    struct xg_geometry limit;
    struct xg_guest_pages control;
    struct xg_control_page *page;
    uint32_t req_prod, msg_cons; /* private */
    uint32_t next_id;
    char error[256]; /* why there is no device; sent in welcomes */
    bool again;      /* the device could not be offered; try again later */
    bool unfit;      /* the daemon speaks another version of the protocol */

    /* app.c */
    struct app *apps;
    unsigned app_count, waiting;
    struct app *channel[XG_CHANNELS_MAX];
};

/* Its messages; see protocol/log.h. */
#define agent_log(...)     agent_log_at(XG_LOG_INFO, __VA_ARGS__)
#define agent_warning(...) agent_log_at(XG_LOG_WARNING, __VA_ARGS__)
#define agent_error(...)   agent_log_at(XG_LOG_ERROR, __VA_ARGS__)
void agent_log_at(enum xg_log_level level, const char *fmt, ...) XG_PRINTF(2, 3);

/* Reads the store and changes the device's state accordingly. 0 or -errno: the store is lost. */
int device_start(struct agent *a);
void device_update(struct agent *a);
/* Updates a->error: why a device is not ready. */
void device_why(struct agent *a);
/* Xen: the agent is about to end. False: the backend does not use the pages any more. */
bool device_stop(struct agent *a);
/* Allocates pages that count against --grants: -ENOSPC if that does not allow as many. */
int agent_pages_alloc(struct agent *a, uint64_t shown, uint64_t extra, struct xg_guest_pages *out);
void agent_pages_free(struct agent *a, struct xg_guest_pages *p);
/* The guest was restored or migrated: the device is lost, with all that it had. */
void device_resumed(struct agent *a);
/* Takes the backend's messages. */
void device_messages(struct agent *a);
/* A slot of the control ring to be filled, NULL when it is full or there is no device; then
 * device_send. */
struct xg_control_request *device_request(struct agent *a);
void device_send(struct agent *a, struct xg_control_request *rq);
static inline bool device_ready(const struct agent *a)
{
    return a->state == XG_XENBUS_CONNECTED;
}

int apps_listen(struct agent *a, const char *path, int mode);
/* Gives the listener to another user; call it after apps_listen. */
int apps_give(struct agent *a, const char *path, uid_t owner);
/* Removes the listener's name; call it before the end. */
void apps_unlisten(struct agent *a, const char *path);
void apps_accept(struct agent *a);
/* An application's socket is readable or hung up. */
void app_event(struct agent *a, struct app *app);
/* Sends requests that waited for room in the control ring, and answers applications that waited for
 * the device. */
void apps_pump(struct agent *a);
/* Refuses applications that have waited too long. */
void apps_expire(struct agent *a);
void apps_reply(struct agent *a, const struct xg_control_message *m);
void apps_gone(struct agent *a, const struct xg_control_message *m);
/* The device is lost: tells all applications that have a channel. */
void apps_lose(struct agent *a, enum xg_ring_error why);
/* Frees all channels; call it when nothing maps their pages any more. */
void apps_free(struct agent *a);

#endif

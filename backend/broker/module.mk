# The daemon. The APIs that its workers replay come in by backend/replays.c and these archives.
XENGPUD_REPLAYS     ?= backend/replays.c
XENGPUD_REPLAY_LIBS ?= obj/libglreplay.a obj/libwsireplay.a obj/libcuda_replay.a obj/libcuda_common.a

$(call archive,broker,$(addprefix backend/broker/,options.c config.c reload.c inventory.c pgpu.c look.c probe.c guest.c guest_settings.c \
    xenbus.c starts.c control.c channel.c host.c cgroup.c relay.c refusals.c spawner.c space.c operator.c sockets.c report.c domains.c) \
    $(addprefix backend/loop/,loop.c log.c meter.c) $(addprefix backend/platform/,local.c xen.c xen_store.c nodes.c egl.c))
$(call program,bin/xengpud,backend/broker/main.c $(XENGPUD_REPLAYS),obj/libbroker.a obj/libworker.a \
    $(XENGPUD_REPLAY_LIBS) obj/libsched.a obj/libsettings.a obj/libprotocol.a -ljansson -linih -lseccomp -lzstd -llz4 \
    -lxenstore -lxengnttab -lxenevtchn -lxentoollog -ldl -lm)

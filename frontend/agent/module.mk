# The guest agent and what it needs of its platform.
XEN_GUEST_LIBS := -lxenstore -lxenevtchn
$(call program,bin/xengpu-agent,frontend/agent/main.c frontend/agent/device.c frontend/agent/app.c \
    frontend/platform/local.c frontend/platform/xen.c frontend/platform/xen_kernel.c frontend/platform/keeper.c,\
    obj/libsettings.a obj/libprotocol.a $(XEN_GUEST_LIBS))

# The window-system half of OpenGL replay; linked into the daemon with obj/libglreplay.a.
XG_WSI_REPLAY := $(wildcard backend/wsi/*.c)
$(call archive,wsireplay,$(XG_WSI_REPLAY) $(BUILD)/gen/wsi/dispatch.c)
$(call objs,$(XG_WSI_REPLAY) $(BUILD)/gen/wsi/dispatch.c): | $(BUILD)/gen/wsi/ops.h $(BUILD)/gen/wsi/handlers.h

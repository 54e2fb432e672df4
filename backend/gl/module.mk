# OpenGL replay: obj/libglreplay.a. Generated sources come from protocol/gl/module.mk.
XG_GL_REPLAY := $(addprefix backend/gl/,replay.c names.c pixels.c arrays.c draw.c window.c objects.c get.c snapshot.c \
                  ledger.c formats.c images.c claims.c programs.c lists.c deleted.c) \
                $(addprefix $(BUILD)/gen/gl/,decode0.c decode1.c decode2.c decode3.c dispatch.c)
$(call archive,glreplay,$(XG_GL_REPLAY) protocol/gl/sizes.c)
$(call objs,$(XG_GL_REPLAY)): | $(BUILD)/gen/gl/stamp

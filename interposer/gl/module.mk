# OpenGL in the guest: obj/libglfront.a. Everything generated comes from protocol/gl/module.mk.
XG_GL_GUEST := $(addprefix interposer/gl/,context.c names.c pixels.c arrays.c draw.c buffers.c map.c programs.c snapshot.c get.c bind.c) \
               $(addprefix $(BUILD)/gen/gl/,stubs0.c stubs1.c stubs2.c stubs3.c procs.c extensions.c)
$(call archive,glfront,$(XG_GL_GUEST) protocol/gl/sizes.c)
$(call objs,$(XG_GL_GUEST)): | $(BUILD)/gen/gl/stamp

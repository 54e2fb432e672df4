# libxengpu.so is what LD_PRELOAD names, and carries the frontend. libxengpu-gl.so is all of OpenGL; glvnd's vendor
# libraries are hulls that open it when it is first used.

XG_SHIM_LD := -Wl,-soname,libxengpu.so -Wl,--whole-archive $(BUILD)/obj/libfrontend.a \
              -Wl,--no-whole-archive $(BUILD)/obj/libprotocol.a
XG_GL_LD   := -Wl,-soname,libxengpu-gl.so $(BUILD)/lib/libxengpu.so -Wl,-rpath,'$$$$ORIGIN' -Wl,-Bsymbolic
XG_GLX_LD  := -Wl,-soname,libGLX_xengpu.so.0
XG_EGL_LD  := -Wl,-soname,libEGL_xengpu.so.0
XG_GL_OBJS ?= obj/libglfront.a

$(call shared,lib/libxengpu.so,interposer/shim/shim.c,obj/libfrontend.a obj/libprotocol.a -ldl,$(XG_SHIM_LD))

XG_WSI_GUEST := $(wildcard interposer/wsi/*.c interposer/glx/*.c interposer/egl/*.c)
$(call shared,lib/libxengpu-gl.so,$(XG_WSI_GUEST),\
    $(XG_GL_OBJS) obj/libprotocol.a -lX11 -lX11-xcb -lxcb -lxcb-shm -lxcb-randr -lm,$(XG_GL_LD))
$(BUILD)/lib/libxengpu-gl.so: $(BUILD)/lib/libxengpu.so
$(call objs,$(XG_WSI_GUEST)): | $(BUILD)/gen/wsi/ops.h $(BUILD)/gen/wsi/send.h $(BUILD)/gen/wsi/names.h

$(call shared,lib/libGLX_xengpu.so.0,interposer/shim/vendor_glx.c,-ldl,$(XG_GLX_LD))
$(call shared,lib/libEGL_xengpu.so.0,interposer/shim/vendor_egl.c,-ldl,$(XG_EGL_LD))
$(BUILD)/lib/libGLX_xengpu.so.0 $(BUILD)/lib/libEGL_xengpu.so.0: | $(BUILD)/lib/libxengpu-gl.so

$(BUILD)/lib/xengpu_egl.json: interposer/shim/xengpu_egl.json
	$(call say,COPY,$@)
	@mkdir -p $(@D)
	$(Q)cp $< $@
all: $(BUILD)/lib/xengpu_egl.json

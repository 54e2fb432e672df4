# What the generator makes of gl.xml. Its objects go into obj/libglfront.a and obj/libglreplay.a.
KHRONOS ?= /usr/share/khronos-api
XG_GL_STAMP := $(BUILD)/gen/gl/stamp

$(XG_GL_STAMP): protocol/gen/gl.py protocol/gen/wire.py protocol/gl/gl.annot protocol/gl/opcodes $(KHRONOS)/gl.xml
	$(call say,GEN,$(@D))
	@mkdir -p $(@D)
	$(Q)$(PYTHON) protocol/gen/gl.py --xml $(KHRONOS)/gl.xml --annot protocol/gl/gl.annot --opcodes protocol/gl/opcodes --out $(@D)
	$(Q)touch $@

XG_GL_GENERATED := $(addprefix $(BUILD)/gen/gl/,stubs0.c stubs1.c stubs2.c stubs3.c procs.c extensions.c decode0.c decode1.c \
                     decode2.c decode3.c dispatch.c \
                     ops.h names.h send.h stubs.h shadow.h worker.h limits.h claims.h)
# Files that come out as they were keep their time, so that nothing is compiled for them.
$(XG_GL_GENERATED): $(XG_GL_STAMP) ;

$(call objs,protocol/gl/sizes.c): | $(BUILD)/gen/gl/stamp

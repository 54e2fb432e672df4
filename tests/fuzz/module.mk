# Fuzz targets under clang's libFuzzer; README.md. They and what they test are built in a tree of their own, $(BUILD)/fuzz.
FUZZ_SAN     := fuzzer-no-link,address,undefined
KHRONOS      ?= /usr/share/khronos-api
FUZZ_SECONDS ?= 60

# Nothing where clang has no libFuzzer: e2e/fuzz is skipped then.
.PHONY: fuzz fuzz-build
fuzz-build:
	+$(Q)if [ -e "$$($(CLANG) -print-file-name=libclang_rt.fuzzer-x86_64.a)" ]; then echo "  BUILD   $(BUILD)/fuzz (SAN=$(FUZZ_SAN))"; \
		$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz SAN=$(FUZZ_SAN) V=$(V) fuzz-targets; fi
fuzz: fuzz-build
	$(Q)$(PYTHON) tests/fuzz/run.py --build $(BUILD)/fuzz --seconds $(FUZZ_SECONDS) $(T)

$(BUILD)/gen/fuzz_gl.c: tests/fuzz/gl_driver.py protocol/gen/gl.py protocol/gen/wire.py protocol/gl/gl.annot $(KHRONOS)/gl.xml
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q)$(PYTHON) $< $(KHRONOS)/gl.xml protocol/gl/gl.annot $@ && touch $@
$(BUILD)/gen/fuzz_gl.h: $(BUILD)/gen/fuzz_gl.c ;

FUZZ_GL      := tests/fuzz/gl_driver.c $(BUILD)/gen/fuzz_gl.c
FUZZ_SRCS    := tests/fuzz/fuzz.c tests/fuzz/fuzz_gl.c tests/fuzz/fuzz_wsi.c tests/fuzz/fuzz_cuda.c $(FUZZ_GL)
FUZZ_BED     := tests/fuzz/steps.c tests/unit/broker_bed.c tests/unit/fake_xen.c tests/unit/fake_xenstore.c
FUZZ_SRCS    += tests/fuzz/fuzz_xen.c tests/fuzz/fuzz_local.c $(FUZZ_BED) \
                tests/fuzz/fuzz_agent.c tests/unit/fake_platform.c tests/fuzz/fuzz_operator.c
$(call objs,$(FUZZ_SRCS)): | $(BUILD)/gen/fuzz_gl.h $(BUILD)/gen/gl/stamp $(BUILD)/gen/cuda/ops.h \
                        $(BUILD)/gen/wsi/ops.h $(BUILD)/gen/wsi/handlers.h

ifneq ($(findstring fuzzer-no-link,$(SAN)),)
# What is tried is instrumented for coverage, what tries it is not.
$(call objs,$(FUZZ_SRCS)): CFLAGS += -fno-sanitize=fuzzer-no-link
# Tables of a million names: to tell the fuzzer of each comparison in them took half of the time.
$(call objs,protocol/table.c backend/gl/names.c): CFLAGS += -fno-sanitize-coverage=trace-cmp
# Kernels that run: each comparison of an interpreter is news, of no use to whoever looks for a way into the replay.
$(call objs,$(wildcard softcuda/ptx/exec_*.c) $(addprefix softcuda/ptx/,builtin.c warps.c launch.c)): \
    CFLAGS += -fno-sanitize-coverage=trace-cmp
# Who asks again later asks at once: the driver's fences pass when they have been asked for a few times, not when time has passed.
$(call objs,backend/wsi/flight.c): CPPFLAGS += -Dnanosleep=fuzz_nanosleep
# The targets' own loader stands between the replays and the drivers.
$(call objs,backend/cuda/driver.c backend/wsi/display.c backend/platform/egl.c): CPPFLAGS += -Ddlopen=fuzz_dlopen -Ddlsym=fuzz_dlsym
# The agent's patience is the target's to use up.
$(call objs,frontend/agent/app.c): CPPFLAGS += -Dclock_gettime=fuzz_clock
fuzz_flags := -fsanitize=fuzzer $(UNIT_RPATH)
$(call testprog,$(BUILD)/tests/fuzz/gl,tests/fuzz/fuzz.c tests/fuzz/fuzz_gl.c $(FUZZ_GL),obj/libglreplay.a obj/libprotocol.a,,$(fuzz_flags))
$(call testprog,$(BUILD)/tests/fuzz/wsi,tests/fuzz/fuzz.c tests/fuzz/fuzz_wsi.c backend/platform/egl.c $(FUZZ_GL),\
    obj/libwsireplay.a obj/libglreplay.a obj/libprotocol.a,,$(fuzz_flags))
$(call testprog,$(BUILD)/tests/fuzz/cuda,tests/fuzz/fuzz.c tests/fuzz/fuzz_cuda.c,\
    obj/libcuda_replay.a obj/libcuda_common.a obj/libprotocol.a -lcuda -lzstd -llz4,,$(fuzz_flags))
$(call testprog,$(BUILD)/tests/fuzz/xen,tests/fuzz/fuzz_xen.c $(FUZZ_BED),\
    obj/libbroker.a obj/libsettings.a obj/libprotocol.a -ljansson -lseccomp -lxentoollog,,$(fuzz_flags))
$(call testprog,$(BUILD)/tests/fuzz/local,tests/fuzz/fuzz_local.c backend/platform/local.c $(FUZZ_BED),\
    obj/libbroker.a obj/libsettings.a obj/libprotocol.a -ljansson -lseccomp -lxentoollog,,$(fuzz_flags))
$(call testprog,$(BUILD)/tests/fuzz/agent,tests/fuzz/fuzz_agent.c tests/fuzz/steps.c tests/unit/fake_platform.c \
    frontend/agent/app.c frontend/agent/device.c,obj/libprotocol.a,,$(fuzz_flags))
$(call testprog,$(BUILD)/tests/fuzz/operator,tests/fuzz/fuzz_operator.c backend/platform/local.c backend/broker/operator.c $(FUZZ_BED),\
    obj/libbroker.a obj/libsettings.a obj/libprotocol.a -ljansson -lseccomp -lxentoollog,,$(fuzz_flags))
.PHONY: fuzz-targets
fuzz-targets: $(addprefix $(BUILD)/tests/fuzz/,gl wsi cuda xen local agent operator) $(BUILD)/gen/cuda/dict.txt
endif

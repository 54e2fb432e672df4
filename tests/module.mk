# Builds what the tests need; tests/run.py runs them. tests/README.md tells the conventions.
#
# A line near the top of a C file says what it is linked with:
#   /* links: obj/libprotocol.a -lfoo */   archives of $(BUILD) and libraries; -lcuda is softcuda's, -lcudart and -lxengpu ours
#   /* with: tests/programs/common.c */    more sources
#   /* pkg: gl egl x11 */                  pkg-config modules

NVCC   := $(or $(NVCC),$(call tool,nvcc /usr/local/cuda/bin/nvcc))

# $(call tag,NAME,FILE): what stands behind "NAME:" in the first lines of FILE, up to the next name or the comment's end
tag = $(strip $(shell sed -n '1,40s@^\(.*[ /*\#]\)\?$(1):\(.*\)@\2@p' $(2) | sed 's@\*/.*@@; s@ [a-z]*: .*@@'))
tag_with  = $(filter %.c,$(call tag,with,$(1)))
tag_links = $(filter -l% obj/%.a,$(call tag,links,$(1)))
tag_pkg   = $(call tag,pkg,$(1))
# Libraries of ours by their path, so that the SONAME is recorded and the build waits for them.
ourlibs = $(patsubst -lcudart,$(BUILD)/lib/libcudart.so.12,$(patsubst -lcuda,$(BUILD)/lib/softcuda/libcuda.so.1,\
          $(patsubst -lxengpu,$(BUILD)/lib/libxengpu.so,$(1))))

# $(call testprog,OUTPUT,SOURCES,LIBS,PKG,EXTRA FLAGS)
define testprog_
ALL_SRCS += $(2)
$(call objs,$(2)): CPPFLAGS += $(if $(4),$(shell pkg-config --cflags $(4)))
$(1): $(call objs,$(2)) $(call archives,$(3)) $(filter $(BUILD)/%,$(call ourlibs,$(3)))
	$$(call say,LINK,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) -o $$@ $(call objs,$(2)) -Wl,--start-group $(call archives,$(3)) -Wl,--end-group $$(LDFLAGS) \
		$(5) $(call ourlibs,$(call plainlibs,$(3))) $(if $(4),$(shell pkg-config --libs $(4)))
endef
testprog = $(eval $(call testprog_,$(1),$(2),$(3),$(4),$(5)))

UNIT_SRCS := $(sort $(wildcard tests/unit/test_*.c))
ifeq ($(SAN),thread)
UNIT_SRCS := $(shell grep -lE '^[ /*]*san:.*thread' $(UNIT_SRCS) /dev/null)
endif
UNIT_TESTS := $(patsubst %.c,$(BUILD)/%,$(UNIT_SRCS))
# They run without an environment of ours, and find our libraries by themselves.
UNIT_RPATH := -Wl,-rpath,$(abspath $(BUILD))/lib/softcuda:$(abspath $(BUILD))/lib
$(foreach s,$(UNIT_SRCS),$(call testprog,$(BUILD)/$(s:.c=),$(s) $(call tag_with,$(s)),$(call tag_links,$(s)) -lcmocka,$(call tag_pkg,$(s)),\
    $(if $(filter -lcuda -lcudart -lxengpu,$(call tag_links,$(s))),$(UNIT_RPATH))))

# A program called lib*.c is a shared library, any other an executable.
PROGRAM_SRCS := $(sort $(wildcard tests/programs/*.c tests/tools/*.c bench/programs/*.c))
progout = $(BUILD)/$(if $(filter lib%,$(notdir $(1))),$(1:.c=.so),$(1:.c=))
$(foreach s,$(PROGRAM_SRCS),$(if $(filter %/common.c,$(s)),,$(call testprog,$(call progout,$(s)),$(s) $(call tag_with,$(s)),\
    $(call tag_links,$(s)),$(call tag_pkg,$(s)),$(if $(filter lib%,$(notdir $(s))),-shared))))
TEST_PROGRAMS := $(foreach s,$(PROGRAM_SRCS),$(if $(filter %/common.c,$(s)),,$(call progout,$(s))))

$(call objs,tests/programs/cuda_quota.c): | $(BUILD)/gen/cuda/takes.h
$(call objs,tests/unit/test_cuda_hostile.c tests/unit/test_cuda_worker.c): | $(BUILD)/gen/cuda/shapes.h $(BUILD)/gen/cuda/ops.h
$(call objs,tests/tools/layout.c): | $(BUILD)/gen/cuda/ops.h
$(call objs,tests/unit/test_wsi_decode.c): | $(addprefix $(BUILD)/gen/wsi/,ops.h handlers.h dispatch.c shapes.h)

# The contract's constants and records for tests in Python: lib/layout.py reads them.
LAYOUT := $(BUILD)/gen/layout.txt
$(LAYOUT): $(BUILD)/tests/tools/layout
	$(call say,GEN,$@)
	$(Q)$< >$@.new && mv $@.new $@

# Kernels: PTX from Debian's clang; a fatbin beside it, and the .cu programs, where a CUDA toolkit is found.
KERNEL_SRCS := $(sort $(wildcard tests/kernels/*.cu bench/kernels/*.cu))
CUDA_SRCS   := $(sort $(wildcard tests/programs/*.cu))
KERNELS     := $(KERNEL_SRCS:%.cu=$(BUILD)/%.ptx) $(if $(NVCC),$(KERNEL_SRCS:%.cu=$(BUILD)/%.fatbin))
CUDA_TESTS  := $(if $(NVCC),$(CUDA_SRCS:%.cu=$(BUILD)/%.nvcc))

$(BUILD)/%.ptx: %.cu $(wildcard tests/kernels/*.h bench/kernels/*.h)
	$(call say,PTX,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -x cuda --cuda-device-only --cuda-path=/nonexistent -nocudainc -nocudalib -Wno-unknown-cuda-version \
		--cuda-gpu-arch=sm_70 -Xclang -target-feature -Xclang +ptx64 -O3 -S -I. -o $@ $<

$(BUILD)/%.fatbin: %.cu $(wildcard tests/kernels/*.h bench/kernels/*.h)
	$(call say,NVCC,$@)
	@mkdir -p $(@D)
	$(Q)$(NVCC) -fatbin -gencode arch=compute_75,code=compute_75 -I. -o $@ $<

$(BUILD)/%.nvcc: %.cu $(wildcard tests/programs/*.h)
	$(call say,NVCC,$@)
	@mkdir -p $(@D)
	$(Q)$(NVCC) -cudart shared -gencode arch=compute_75,code=compute_75 -O2 -I. -o $@ $<

# Machine code for one generation of devices, for `make gpu-bundle`: NAME.sm_90.cubin, .fatbin and .nvcc. No other device can run it.
# rt_refused has instructions that no compiler for a GPU takes.
GPU_PROGRAMS := $(if $(NVCC),$(foreach t,cubin fatbin,$(KERNEL_SRCS:%.cu=$(BUILD)/%.sm_90.$(t))) \
                $(patsubst %.cu,$(BUILD)/%.sm_90.nvcc,$(filter-out %/rt_refused.cu,$(CUDA_SRCS))))
GPU_CODE     := -gencode arch=compute_90,code=sm_90

$(BUILD)/%.sm_90.cubin: %.cu $(wildcard tests/kernels/*.h bench/kernels/*.h)
	$(call say,NVCC,$@)
	@mkdir -p $(@D)
	$(Q)$(NVCC) -cubin $(GPU_CODE) -I. -o $@ $<

$(BUILD)/%.sm_90.fatbin: %.cu $(wildcard tests/kernels/*.h bench/kernels/*.h)
	$(call say,NVCC,$@)
	@mkdir -p $(@D)
	$(Q)$(NVCC) -fatbin $(GPU_CODE) -I. -o $@ $<

$(BUILD)/%.sm_90.nvcc: %.cu $(wildcard tests/programs/*.h)
	$(call say,NVCC,$@)
	@mkdir -p $(@D)
	$(Q)$(NVCC) -cudart shared $(GPU_CODE) -O2 -I. -o $@ $<

.PHONY: gpu-programs
gpu-programs: tests $(GPU_PROGRAMS)

.PHONY: unit-tests tests demo-programs bench-programs check-unit check-run
unit-tests: $(UNIT_TESTS)
tests: all unit-tests $(TEST_PROGRAMS) $(KERNELS) $(LAYOUT) $(if $(SAN),,$(CUDA_TESTS))
demo-programs: $(TEST_PROGRAMS) $(KERNELS) $(LAYOUT)
bench-programs: $(filter $(BUILD)/bench/%,$(TEST_PROGRAMS)) $(KERNELS)

# For daily work: one build, no installing; T= chooses tests by the start of their names (T=unit/test_ring).
check-unit: unit-tests
	$(Q)$(PYTHON) tests/run.py --build $(BUILD) $(or $(T),unit)
check-run: tests
	$(Q)$(PYTHON) tests/run.py --build $(BUILD) $(T)

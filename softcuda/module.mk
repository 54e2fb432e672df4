# softcuda: a libcuda.so.1 that runs on the CPU. ptx/ is the engine, driver/ the API.

comma     := ,
SC_DRIVER := $(sort $(wildcard softcuda/driver/*.c))
SC_REST   := $(BUILD)/gen/softcuda/rest.c

$(call archive,softcuda_driver,$(SC_DRIVER) softcuda/gate.c)

$(SC_REST): softcuda/driver/gen_rest.py cuda/abi/func_table.h \
            cuda/procs_table.h protocol/cuda/cuda.api $(wildcard protocol/gen/*.py) $(call objs,$(SC_DRIVER) $(CUDA_API_SRCS))
	$(call say,GEN,$@)
	@mkdir -p $(@D)
	$(Q)$(PYTHON) $< $@ cuda/abi/func_table.h cuda/procs_table.h \
	    protocol/cuda/cuda.api $(call objs,$(SC_DRIVER) $(CUDA_API_SRCS))

$(call shared,lib/softcuda/libcuda.so.1,$(SC_DRIVER) $(CUDA_API_SRCS) $(SC_REST),\
    obj/libscptx.a obj/libcuda_common.a -lzstd -llz4 -lm,\
    -Wl$(comma)-soname$(comma)libcuda.so.1 -Wl$(comma)-Bsymbolic -Wl$(comma)-z$(comma)nodelete)

all: $(BUILD)/lib/softcuda/libcuda.so
$(BUILD)/lib/softcuda/libcuda.so: $(BUILD)/lib/softcuda/libcuda.so.1
	$(Q)ln -sf libcuda.so.1 $@

# The guest's libcuda. Handwritten files, and what protocol/gen/cuda.py makes of the description: the table of exports, the
# per-thread variants, what is not supported. (gen/cuda_ops.h is made by backend/cuda/module.mk.)
$(BUILD)/gen/cuda_exports.c: protocol/cuda/cuda.api protocol/cuda/cuda.lock protocol/cuda/abi_func.h protocol/gen/cuda.py protocol/gen/wire.py
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && $(PYTHON) protocol/gen/cuda.py --api protocol/cuda/cuda.api \
	    --lock protocol/cuda/cuda.lock --abi protocol/cuda/abi_func.h exports > $@

CUDA_GUEST_SRCS := $(sort $(wildcard interposer/cuda/*.c))
CUDA_GUEST_LD := -Wl,-soname,libcuda.so.1 $(BUILD)/lib/libxengpu.so -Wl,-rpath,'$$$$ORIGIN' -Wl,-Bsymbolic
$(call shared,lib/libcuda.so.1,$(CUDA_GUEST_SRCS) $(BUILD)/gen/cuda_exports.c,\
    obj/libprotocol_cuda.a -lzstd -llz4,$(CUDA_GUEST_LD))
$(BUILD)/lib/libcuda.so.1: $(BUILD)/lib/libxengpu.so
$(call objs,$(CUDA_GUEST_SRCS) $(BUILD)/gen/cuda_exports.c): | $(BUILD)/gen/cuda_ops.h

# The guest's libcuda. Handwritten files, and what protocol/cuda/module.mk makes of the description: the table of exports, the per-thread
# variants, what is not supported.
CUDA_GUEST_SRCS := $(sort $(wildcard interposer/cuda/*.c))
CUDA_GUEST_LD := -Wl,-soname,libcuda.so.1 $(BUILD)/lib/libxengpu.so -Wl,-rpath,'$$$$ORIGIN' -Wl,-Bsymbolic
$(call shared,lib/libcuda.so.1,$(CUDA_GUEST_SRCS) $(BUILD)/gen/cuda/exports.c,\
    obj/libcuda_api.a obj/libcuda_common.a -lzstd -llz4,$(CUDA_GUEST_LD))
$(BUILD)/lib/libcuda.so.1: $(BUILD)/lib/libxengpu.so
$(call objs,$(CUDA_GUEST_SRCS) $(BUILD)/gen/cuda/exports.c): | $(BUILD)/gen/cuda/ops.h $(BUILD)/gen/cuda/send.h $(BUILD)/gen/cuda/names.h

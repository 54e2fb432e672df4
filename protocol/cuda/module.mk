# The CUDA ABI, module images, and what both sides know of the API.
$(call archive,protocol_cuda,$(sort $(wildcard protocol/cuda/*.c)))

# What the generator makes of the description: opcodes and structures for both sides, the guest's exports, the worker's decoder, and tables for
# tests and fuzzers.
CUDA_API := protocol/cuda/cuda.api protocol/cuda/cuda.lock protocol/cuda/abi_func.h protocol/gen/cuda.py protocol/gen/ops.py protocol/gen/wire.py
CUDA_GENERATED := $(addprefix $(BUILD)/gen/cuda/,ops.h exports.c handlers.h dispatch.c shapes.h takes.h dict.txt)

$(CUDA_GENERATED): $(CUDA_API)
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && $(PYTHON) protocol/gen/cuda.py --api protocol/cuda/cuda.api --lock protocol/cuda/cuda.lock \
	    --abi protocol/cuda/abi_func.h $(basename $(@F)) >$@.new && mv $@.new $@
all: $(BUILD)/gen/cuda/dict.txt

.PHONY: cuda-abi-check
cuda-abi-check:
	$(Q)$(PYTHON) protocol/cuda/abi_check.py --cc gcc; test $$? -eq 0 -o $$? -eq 77

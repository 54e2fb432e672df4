# What the generator makes of the description: opcodes and structures for both sides, the guest's senders and exports, the worker's decoder, and
# tables for tests and fuzzers.
CUDA_API := protocol/cuda/cuda.api protocol/cuda/cuda.lock cuda/abi/func_table.h protocol/gen/cuda.py protocol/gen/ops.py protocol/gen/wire.py
CUDA_GENERATED := $(addprefix $(BUILD)/gen/cuda/,ops.h send.h exports.c handlers.h dispatch.c shapes.h names.h takes.h dict.txt)

$(CUDA_GENERATED): $(CUDA_API)
	$(call say,GEN,$@)
	$(Q)mkdir -p $(@D) && $(PYTHON) protocol/gen/cuda.py --api protocol/cuda/cuda.api --lock protocol/cuda/cuda.lock \
	    --abi cuda/abi/func_table.h $(basename $(@F)) >$@.new && mv $@.new $@
all: $(BUILD)/gen/cuda/dict.txt

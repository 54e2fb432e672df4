# CUDA replay. Makes gen/cuda_*.h and the decoder from protocol/cuda/cuda.api.
CUDA_API := protocol/cuda/cuda.api protocol/cuda/cuda.lock protocol/cuda/abi_func.h protocol/gen/cuda.py protocol/gen/wire.py
CUDA_GEN = $(Q)mkdir -p $(@D) && $(PYTHON) protocol/gen/cuda.py --api protocol/cuda/cuda.api --lock protocol/cuda/cuda.lock \
           --abi protocol/cuda/abi_func.h

$(BUILD)/gen/cuda_ops.h: $(CUDA_API)
	$(call say,GEN,$@)
	$(CUDA_GEN) ops > $@
$(BUILD)/gen/cuda_handlers.h: $(CUDA_API)
	$(call say,GEN,$@)
	$(CUDA_GEN) handlers > $@
$(BUILD)/gen/cuda_dispatch.c: $(CUDA_API)
	$(call say,GEN,$@)
	$(CUDA_GEN) dispatch > $@
# For tests and fuzzers.
$(BUILD)/gen/cuda_shapes.h: $(CUDA_API)
	$(call say,GEN,$@)
	$(CUDA_GEN) shapes > $@
$(BUILD)/gen/cuda_takes.h: $(CUDA_API)
	$(call say,GEN,$@)
	$(CUDA_GEN) takes > $@
$(BUILD)/obj/tests/programs/cuda_quota.o: $(BUILD)/gen/cuda_takes.h
$(BUILD)/gen/cuda.dict: $(CUDA_API)
	$(call say,GEN,$@)
	$(CUDA_GEN) dict > $@
all: $(BUILD)/gen/cuda.dict
$(addprefix $(BUILD)/obj/tests/unit/,test_cuda_hostile.o test_cuda_worker.o): $(BUILD)/gen/cuda_shapes.h $(BUILD)/gen/cuda_ops.h

CUDA_REPLAY_SRCS := $(sort $(wildcard backend/cuda/*.c))
$(call archive,cuda_replay,$(CUDA_REPLAY_SRCS) $(BUILD)/gen/cuda_dispatch.c)
$(call objs,$(CUDA_REPLAY_SRCS) $(BUILD)/gen/cuda_dispatch.c): | $(BUILD)/gen/cuda_ops.h $(BUILD)/gen/cuda_handlers.h

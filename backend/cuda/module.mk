# CUDA replay. What is generated comes from protocol/cuda/module.mk.
CUDA_REPLAY_SRCS := $(sort $(wildcard backend/cuda/*.c))
$(call archive,cuda_replay,$(CUDA_REPLAY_SRCS) $(BUILD)/gen/cuda/dispatch.c)
$(call objs,$(CUDA_REPLAY_SRCS) $(BUILD)/gen/cuda/dispatch.c): | $(BUILD)/gen/cuda/ops.h $(BUILD)/gen/cuda/handlers.h

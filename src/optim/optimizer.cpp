#include "optim/optimizer.h"

#include "optim/adamw.h"

namespace lmms::optim {

void register_optimizers(Registry<OptimizerFactory>& registry) {
#define LMMS_OPTIMIZER(name, factory, help) registry.add(#name, help, factory);
#define LMMS_OPTIMIZER_LATER(name)
#include "optim/optimizers.def"
#undef LMMS_OPTIMIZER
#undef LMMS_OPTIMIZER_LATER
}

}  // namespace lmms::optim

#include "train/plugin.h"

#include "parts.h"
#include "train/registries.h"

LMMS_PLUGIN(registries) {
  const lmms::models::ModelEntry model = dates::gated_convolution();
  registries.models.add(model.model_type, model.summary, model);
  registries.processors.add(dates::table_text().processor_type,
                            "rows of a table: a question and its answer made of their columns",
                            dates::table_text());
  registries.objectives.add("regularised_trainer",
                            "the next token, with label smoothing and z-loss",
                            dates::regularised());
}

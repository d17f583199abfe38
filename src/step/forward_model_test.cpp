#include "step/forward_model.h"

#include <gtest/gtest.h>

namespace lmms::step {
namespace {

TEST(KnownPositions, are_those_of_the_text_model) {
  EXPECT_EQ(known_positions({{"max_position_embeddings", 40}}), 40);
  EXPECT_EQ(known_positions({{"text_config", {{"max_position_embeddings", 50}}}}), 50);
  EXPECT_EQ(known_positions({{"max_position_embeddings", "many"}, {"text_config", 7}}),
            std::nullopt);
  EXPECT_EQ(known_positions(nullptr), std::nullopt);
}

}  // namespace
}  // namespace lmms::step

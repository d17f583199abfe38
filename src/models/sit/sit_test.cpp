#include "models/sit/sit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace lmms::models::sit {
namespace {

using testing::HasSubstr;

Config read(const nlohmann::json& config) {
  return read_config(ConfigReader(config, "config.json"));
}

TEST(SitConfig, without_keys_is_xl_2_in_latents_of_stable_diffusion) {
  const Config c = read(nlohmann::json::object());
  EXPECT_EQ(c.latent, (LatentShape{4, 32, 32, 2}));
  EXPECT_EQ(c.hidden_size, 1152);
  EXPECT_EQ(c.depth, 28);
  EXPECT_EQ(c.head_dim(), 72);
  EXPECT_EQ(c.intermediate_size, 4608);
  EXPECT_EQ(c.class_rows(), 1001);
  EXPECT_EQ(c.out_channels(), 8);
  EXPECT_EQ(c.transport, TransportConfig{});
  EXPECT_EQ(c.autoencoder_path, "stabilityai/sd-vae-ft-ema");
}

TEST(SitConfig, says_what_is_denoised) {
  EXPECT_EQ(read({{"in_channels", 3}}).autoencoder_path, "");
  EXPECT_EQ(read({{"vae_path", nullptr}}).autoencoder_path, "");
  EXPECT_EQ(read({{"vae_path", ""}}).autoencoder_path, "");
  EXPECT_EQ(read({{"vae_path", "vae"}, {"in_channels", 16}}).autoencoder_path, "vae");
}

TEST(SitConfig, says_how_it_was_trained) {
  const TransportConfig t = read({{"path_type", "GVP"},
                                  {"prediction", "noise"},
                                  {"loss_weight", "likelihood"},
                                  {"train_eps", 1e-5},
                                  {"sample_eps", 1e-3}})
                                .transport;
  EXPECT_EQ(t, (TransportConfig{InterpolantPath::gvp, Prediction::noise, LossWeighting::likelihood,
                                1e-5, 1e-3}));
  EXPECT_EQ(read({{"loss_weight", nullptr}}).transport.weighting, LossWeighting::none);
}

TEST(SitConfig, faults_name_the_key_and_what_is_wrong) {
  const auto fault = [](const nlohmann::json& config) -> std::string {
    try {
      read(config);
    } catch (const Error& error) {
      return error.fault().text();
    }
    return "no fault";
  };
  for (const auto& [config, text] : std::vector<std::pair<nlohmann::json, const char*>>{
           {{{"num_heads", 7}}, "num_heads: 7 heads do not divide hidden_size 1152"},
           {{{"input_size", 33}}, "input_size: 33 is no multiple of patch_size 2"},
           {{{"hidden_size", 6}, {"num_heads", 2}}, "hidden_size: 6 is no multiple of 4"},
           {{{"path_type", "linear"}}, "path_type: expected one of Linear, GVP, VP; got 'linear'"},
           {{{"prediction", "x0"}}, "prediction: expected one of velocity, score, noise"},
           {{{"loss_weight", "snr"}}, "loss_weight: expected one of velocity, likelihood"},
           {{{"train_eps", 0.7}}, "train_eps: expected a time"},
           {{{"class_dropout_prob", 1.5}}, "class_dropout_prob: expected a share from 0 to 1"},
           {{{"mlp_ratio", 0}}, "mlp_ratio: expected a number above 0"},
           {{{"learn_sigma", 1}}, "learn_sigma: expected true or false"}})
    EXPECT_THAT(fault(config), AllOf(HasSubstr("config.json"), HasSubstr(text)));
}

TEST(SitModel, says_which_keys_it_reads) {
  const Sit model({{"model_type", "sit"}, {"depth", 1}, {"hidden_size", 16}, {"num_heads", 2}},
                  "c");
  for (const char* key :
       {"input_size", "patch_size", "in_channels", "hidden_size", "depth", "num_heads", "mlp_ratio",
        "class_dropout_prob", "num_classes", "learn_sigma", "vae_path", "path_type", "prediction",
        "loss_weight", "train_eps", "sample_eps", "cfg_scale"})
    EXPECT_TRUE(model.keys_read().contains(key)) << key;
}

TEST(SitModel, without_class_dropout_has_no_row_for_no_class) {
  const Sit model({{"model_type", "sit"},
                   {"depth", 1},
                   {"hidden_size", 16},
                   {"num_heads", 2},
                   {"num_classes", 5},
                   {"class_dropout_prob", 0}},
                  "c");
  EXPECT_EQ(model.params().find_part("y_embedder.embedding_table.weight")->shape,
            (std::vector<int64_t>{5, 16}));
  EXPECT_EQ(model.classes(), 5);
}

}  // namespace
}  // namespace lmms::models::sit

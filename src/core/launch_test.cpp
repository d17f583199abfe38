#include "core/launch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmms {
namespace {

using testing::HasSubstr;

std::string fault(const Environment& environment) {
  const auto found = launch_fault(environment);
  return found ? found->text() : "";
}

TEST(Launch, a_process_alone_may_train) {
  EXPECT_EQ(fault({}), "");
  EXPECT_EQ(fault({{"WORLD_SIZE", "1"}, {"RANK", "0"}, {"LOCAL_RANK", "0"}}), "");
  EXPECT_EQ(
      fault({{"WORLD_SIZE", "1"}, {"RANK", "0"}, {"LOCAL_RANK", "0"}, {"LOCAL_WORLD_SIZE", "1"}}),
      "");
  EXPECT_EQ(fault({{"RANK", "0"}}), "");
  EXPECT_EQ(fault({{"LOCAL_RANK", "3"}}), "");  // chooses a GPU
  EXPECT_EQ(fault({{"OMPI_COMM_WORLD_SIZE", "1"}, {"OMPI_COMM_WORLD_RANK", "0"}}), "");
}

TEST(Launch, one_of_many_is_refused_whatever_started_it) {
  EXPECT_EQ(
      fault({{"WORLD_SIZE", "2"}, {"RANK", "1"}, {"LOCAL_RANK", "1"}}),
      "WORLD_SIZE: training with many ranks is not built yet, and WORLD_SIZE=2 says that this "
      "process is one of 2: alone it would train all of the data by itself\n"
      "    fix: start one process, without a launcher; WORLD_SIZE=1 says that this one is "
      "alone");
  for (const Environment& environment : std::initializer_list<Environment>{
           {{"WORLD_SIZE", "8"}},
           {{"LOCAL_WORLD_SIZE", "2"}, {"LOCAL_RANK", "0"}},
           {{"OMPI_COMM_WORLD_SIZE", "2"}, {"OMPI_COMM_WORLD_RANK", "0"}},
           {{"PMI_SIZE", "2"}, {"PMI_RANK", "0"}},
           {{"MV2_COMM_WORLD_SIZE", "16"}},
           {{"HOROVOD_SIZE", "2"}, {"HOROVOD_RANK", "1"}},
           {{"SLURM_STEP_NUM_TASKS", "2"}, {"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "2"}},
           {{"SLURM_NTASKS", "2"}, {"SLURM_PROCID", "1"}},
           {{"SLURM_NTASKS", "2"}, {"SLURM_PROCID", "0"}, {"SLURM_STEP_ID", "0"}}}) {
    EXPECT_THAT(fault(environment), HasSubstr("is one of")) << environment.begin()->first;
  }
}

TEST(Launch, an_allocation_is_no_launcher) {
  // salloc; a batch script, which is task 0 of no step; a shell that Slurm started as a step of one
  EXPECT_EQ(fault({{"SLURM_NTASKS", "8"}}), "");
  EXPECT_EQ(fault({{"SLURM_NTASKS", "8"}, {"SLURM_PROCID", "0"}}), "");
  EXPECT_EQ(fault({{"SLURM_NTASKS", "8"},
                   {"SLURM_PROCID", "0"},
                   {"SLURM_STEP_ID", "4294967290"},
                   {"SLURM_STEP_NUM_TASKS", "1"}}),
            "");
}

TEST(Launch, world_size_is_the_last_word) {
  // several runs beside each other under one srun
  EXPECT_EQ(fault({{"WORLD_SIZE", "1"}, {"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_PROCID", "3"}}), "");
}

TEST(Launch, what_makes_no_sense_is_named) {
  EXPECT_EQ(fault({{"WORLD_SIZE", "1"}, {"RANK", "x"}}),
            "RANK: got 'x'; expected a whole number >= 0\n"
            "    fix: unset RANK, or start lmms with the launcher that sets it");
  EXPECT_THAT(fault({{"WORLD_SIZE", "1"}, {"RANK", "3"}}),
              HasSubstr("RANK: got 3; expected less than WORLD_SIZE=1"));
  EXPECT_THAT(fault({{"RANK", "1"}}), HasSubstr("RANK: got 1, but WORLD_SIZE is not set"));
  EXPECT_THAT(fault({{"RANK", "x"}}), HasSubstr("RANK: got 'x'"));
  for (const char* size : {"", "0", "-1", "two", "2.0", "1 ", "99999999999"})
    EXPECT_THAT(fault({{"WORLD_SIZE", size}}), HasSubstr("WORLD_SIZE: got '")) << size;
  EXPECT_THAT(fault({{"LOCAL_RANK", "-1"}}), HasSubstr("LOCAL_RANK: got '-1'"));
  EXPECT_THAT(fault({{"WORLD_SIZE", "1"}, {"LOCAL_RANK", "2"}}),
              HasSubstr("LOCAL_RANK: got 2; expected less than WORLD_SIZE=1"));
  EXPECT_THAT(fault({{"LOCAL_WORLD_SIZE", "2"}, {"LOCAL_RANK", "2"}}),
              HasSubstr("LOCAL_RANK: got 2; expected less than LOCAL_WORLD_SIZE=2"));
  EXPECT_THAT(fault({{"OMPI_COMM_WORLD_SIZE", "1"}, {"OMPI_COMM_WORLD_RANK", "1"}}),
              HasSubstr("OMPI_COMM_WORLD_RANK: got 1"));
}

TEST(Launch, local_rank_is_a_number_or_a_fault) {
  EXPECT_EQ(*local_rank_of({}), 0);
  EXPECT_EQ(*local_rank_of({{"LOCAL_RANK", "5"}}), 5);
  EXPECT_FALSE(local_rank_of({{"LOCAL_RANK", "five"}}));
}

}  // namespace
}  // namespace lmms

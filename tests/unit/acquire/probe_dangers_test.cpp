#include "acquire/probe_dangers.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace heapscan {
namespace {

TEST(ProbeDangers, FiltersKillOnSomeKernels) {
  for (const char* kernel : {"6.11.0", "6.12.4-amd64", "6.13.0-rc2"})
    EXPECT_NE(why_probes_would_kill({kernel, true, false}), "") << kernel;
  for (const char* kernel :
       {"5.15.0-91-generic", "6.1.0", "6.10.9", "6.14.0", "6.18.1", "7.0.0", "?"})
    EXPECT_EQ(why_probes_would_kill({kernel, true, false}), "") << kernel;
  EXPECT_EQ(why_probes_would_kill({"6.12.4", false, false}), "");
}

TEST(ProbeDangers, ShadowStacksAreForgottenByOlderKernels) {
  EXPECT_NE(why_probes_would_kill({"6.6.30", false, true}), "");
  EXPECT_EQ(why_probes_would_kill({"6.11.0", false, true}), "");
}

TEST(ProbeDangers, KnowsTheRunningKernel) {
  EXPECT_NE(read_probed_process(::getpid()).kernel.find('.'), std::string::npos);
}

}  // namespace
}  // namespace heapscan

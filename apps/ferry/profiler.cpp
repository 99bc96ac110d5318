#include "apps/ferry/profiler.hpp"

#if FERRY_HAS_PROFILER
#include <gperftools/profiler.h>

#include "os/operator_files.hpp"
#endif

namespace ferry::app {

#if FERRY_HAS_PROFILER

result<void> start_profile(const std::string& path) {
  if (const auto made = os::write_report(path, ""); !made) return made;
  if (::ProfilerStart(path.c_str()) == 0) return error(errc::busy, "the profiler does not start with " + path);
  return {};
}

void stop_profile() noexcept { ::ProfilerStop(); }

#else

result<void> start_profile(const std::string&) {
  return error(errc::unsupported, "this ferry was built without gperftools, which samples the processor's time");
}

void stop_profile() noexcept {}

#endif

}  // namespace ferry::app

#include "apps/ferry/profiler.hpp"

#if FERRY_HAS_PROFILER
#include <dlfcn.h>
#include <gperftools/profiler.h>

#include "os/operator_files.hpp"
#endif

namespace ferry::app {

#if FERRY_HAS_PROFILER

namespace {

/// gperftools is loaded when it is asked for: it opens pipes as soon as it is there, which would take the place of a
/// standard output that is closed.
template <class Function>
Function* profiler(const char* name) noexcept {
  static void* const library = ::dlopen("libprofiler.so.0", RTLD_NOW | RTLD_LOCAL);
  return library == nullptr ? nullptr : reinterpret_cast<Function*>(::dlsym(library, name));
}

}  // namespace

result<void> start_profile(const std::string& path) {
  auto* const start = profiler<decltype(::ProfilerStart)>("ProfilerStart");
  if (start == nullptr) return error(errc::unsupported, "gperftools (libprofiler.so.0) is not here: install it");
  if (const auto made = os::write_report(path, ""); !made) return made;
  if (start(path.c_str()) == 0) return error(errc::busy, "the profiler does not start with " + path);
  return {};
}

void stop_profile() noexcept {
  if (auto* const stop = profiler<decltype(::ProfilerStop)>("ProfilerStop"); stop != nullptr) stop();
}

#else

result<void> start_profile(const std::string&) {
  return error(errc::unsupported, "this ferry was built without gperftools, which samples the processor's time");
}

void stop_profile() noexcept {}

#endif

}  // namespace ferry::app

#include "os/process_view.hpp"

#include <dlfcn.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

namespace ferry::os {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

thread_view thread_at(const std::string& directory, std::uint32_t id) {
  thread_view made;
  made.id = id;
  made.name = first_line(directory + "/comm");
  if (auto where = first_line(directory + "/wchan"); where != "0") made.waits_in = std::move(where);
  // "ID (NAME) STATE ...", and a name may have blanks and brackets.
  const auto all = first_line(directory + "/stat");
  std::istringstream rest(all.substr(std::min(all.size(), all.rfind(')') + 1)));
  std::string skipped;
  std::uint64_t user = 0, kernel = 0;
  rest >> made.state;
  for (int field = 4; field < 14; ++field) rest >> skipped;
  rest >> user >> kernel;
  const auto ticks = static_cast<std::uint64_t>(std::max(1L, ::sysconf(_SC_CLK_TCK)));
  made.user_ms = user * 1000 / ticks;
  made.kernel_ms = kernel * 1000 / ticks;
  return made;
}

}  // namespace

std::vector<thread_view> threads_of_process() {
  std::vector<thread_view> made;
  std::error_code failed;
  for (std::filesystem::directory_iterator at("/proc/self/task", failed), end; !failed && at != end;
       at.increment(failed)) {
    auto one = thread_at(at->path().string(),
                         static_cast<std::uint32_t>(std::strtoul(at->path().filename().c_str(), nullptr, 10)));
    if (!one.name.empty()) made.push_back(std::move(one));
  }
  std::sort(made.begin(), made.end(), [](const thread_view& a, const thread_view& b) { return a.id < b.id; });
  return made;
}

allocator_view view_of_allocator() {
  const auto now = ::mallinfo2();
  allocator_view made;
  made.from_system = now.arena + now.hblkhd;
  made.in_use = now.uordblks + now.hblkhd;
  made.mapped = now.hblkhd;
  std::uint64_t total = 0, resident = 0;
  if (std::ifstream file("/proc/self/statm"); file >> total >> resident)
    made.resident = resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return made;
}

std::string allocator_details() {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* const file = ::open_memstream(&text, &size);
  if (file == nullptr) return {};
  const bool written = ::malloc_info(0, file) == 0;
  std::fclose(file);
  const std::unique_ptr<char, void (*)(void*)> kept(text, &std::free);
  return written ? std::string(text, size) : std::string();
}

std::string heap_profile() {
  // Functions of the library that took the allocator's place, if one did.
  using is_running = int();
  using give_profile = char*();
  auto* const running = reinterpret_cast<is_running*>(::dlsym(RTLD_DEFAULT, "IsHeapProfilerRunning"));
  auto* const profile = reinterpret_cast<give_profile*>(::dlsym(RTLD_DEFAULT, "GetHeapProfile"));
  if (running == nullptr || profile == nullptr || running() == 0) return {};
  const std::unique_ptr<char, void (*)(void*)> text(profile(), &std::free);
  return text ? std::string(text.get()) : std::string();
}

}  // namespace ferry::os

#include <ferry/stream.hpp>

namespace ferry {

std::string peer_info::text() const {
  if (!through.empty()) return address + " (through " + through + ")";
  if (!process) return address.empty() ? "unnamed peer" : address;
  std::string who = "pid " + std::to_string(process->pid) + " uid " + std::to_string(process->uid);
  return address.empty() ? who : address + " (" + who + ")";
}

}  // namespace ferry

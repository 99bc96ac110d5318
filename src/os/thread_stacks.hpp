#pragma once
/// Where each thread of this process is, for operators.

#include <cstdint>
#include <string>
#include <vector>

namespace ferry::os {

struct thread_stack {
  std::uint32_t id = 0;
  /// Innermost first, at most 64: "FILE+0xOFFSET NAME", for `addr2line -e FILE OFFSET`; NAME where FILE exports it.
  /// Empty: it did not answer within 200 ms.
  std::vector<std::string> frames;
};

/// By their ids. Interrupts every other thread once, by SIGURG, whose handler is another one meanwhile; what waits in
/// the kernel goes on waiting, or sees EINTR. Thread safety: from any thread, one caller at a time goes on.
[[nodiscard]] std::vector<thread_stack> stacks_of_threads();

}  // namespace ferry::os

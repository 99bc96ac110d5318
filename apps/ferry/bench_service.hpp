#pragma once
/// The answering side of `bench rtt` and `bench oneway`: see bench_dialogue.hpp.

#include <ferry/listener.hpp>

#include <functional>
#include <memory>
#include <string>

namespace ferry::app {

/// Listens and answers every channel that arrives, each by itself. A peer that does not keep to the dialogue is cut.
/// Thread safety: the context's thread only.
class bench_service {
 public:
  /// @return as listener::open
  [[nodiscard]] static result<bench_service> open(context& where, const std::string& url, const options& with);

  [[nodiscard]] std::string url() const { return arrivals_.url(); }
  /// Called with the reason after each channel that has ended; errc::closed or end_of_stream: in order.
  void on_end(std::function<void(const error&)> handler) { *ended_ = std::move(handler); }
  void close() { arrivals_.close(); }

 private:
  explicit bench_service(listener arrivals);

  listener arrivals_;
  std::shared_ptr<std::function<void(const error&)>> ended_;
};

}  // namespace ferry::app

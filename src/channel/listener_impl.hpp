#pragma once
/// Accepting: limits, pauses, and how what arrives becomes a channel.

#include <ferry/listener.hpp>

#include <memory>
#include <string>
#include <variant>

#include "channel/arrivals.hpp"
#include "channel/replaceable.hpp"
#include "channel/waiters.hpp"
#include "net/residents.hpp"
#include "net/timers.hpp"

namespace ferry::detail {

class listener_impl final : public std::enable_shared_from_this<listener_impl>,
                            public resident,
                            private net::timers::kept_entry {
 public:
  listener_impl(context& where, std::unique_ptr<arrivals> from, std::shared_ptr<const options> with);
  ~listener_impl() override;

  void on_channel(std::function<void(channel)> handler);
  void on_error(std::function<void(const error&)> handler) { error_handler_ = std::move(handler); }
  void start_accept(accept_completion done);
  void close();
  void drain();
  [[nodiscard]] std::string url() const { return url_.text(); }
  [[nodiscard]] listener_stats stats() const;
  [[nodiscard]] context& where() const noexcept { return where_; }

  void abandon() noexcept override;
  [[nodiscard]] std::shared_ptr<resident> keep() noexcept override { return weak_from_this().lock(); }

 private:
  struct open_count;
  [[nodiscard]] bool wanted() const noexcept { return arrivals_ && (channel_handler_ || !accepts_.empty()); }
  void wait_for_arrivals() noexcept;
  void accept_some();
  void wait_a_while() noexcept;
  void on_time() override;
  struct rest;
  friend struct rest;
  void welcome(std::unique_ptr<arrival> arrived);
  void pause(const error& why);
  void report(const error& why);

  context& where_;
  const std::shared_ptr<residents> residents_;
  std::unique_ptr<arrivals> arrivals_;  // null once closed
  const std::shared_ptr<const options> options_;
  const shared_url url_;
  replaceable<channel> channel_handler_;
  replaceable<const error&> error_handler_;
  waiters<accept_completion, std::monostate> accepts_;
  bool waiting_ = false;  // for arrivals, or for the end of a pause
  listener_stats stats_;
  std::shared_ptr<open_count> open_;
};

/// A handle for a listener: it closes when its last copy goes.
[[nodiscard]] inline std::shared_ptr<listener_impl> hold(const std::shared_ptr<listener_impl>& impl) {
  return {impl.get(), [impl](listener_impl*) { impl->close(); }};
}

}  // namespace ferry::detail

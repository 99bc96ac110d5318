#pragma once
/// What streams have in common that lie on another one and hand most of what passes through.

#include <ferry/stream.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace ferry::net {

/// Hands everything through in both directions; who is made of it says what it does besides. Owned by shared pointers.
class stream_above : public stream, protected stream_events, public std::enable_shared_from_this<stream_above> {
 public:
  void attach(stream_events& events, std::shared_ptr<void> owner) override {
    events_ = &events;
    owner_ = std::move(owner);
  }
  [[nodiscard]] result<std::size_t> try_read(mutable_bytes into) noexcept override { return below_->try_read(into); }
  [[nodiscard]] result<std::size_t> try_write(std::span<const bytes> from) noexcept override {
    return below_->try_write(from);
  }
  void async_read(mutable_bytes into) override { below_->async_read(into); }
  void async_wait_writable() override { below_->async_wait_writable(); }
  result<void> shutdown_write() override { return below_->shutdown_write(); }
  result<void> shutdown_read() override { return below_->shutdown_read(); }
  [[nodiscard]] std::size_t unread() const noexcept override { return below_->unread(); }
  void close() noexcept override {
    const auto self = weak_from_this().lock();  // the stream below lets go of us
    events_ = nullptr;
    below_->close();
    owner_.reset();
  }
  [[nodiscard]] peer_info peer() const override { return below_->peer(); }
  [[nodiscard]] std::string local_address() const override { return below_->local_address(); }

  result<void> set_close_note(std::uint16_t code, std::string_view reason) override {
    return below_->set_close_note(code, reason);
  }
  [[nodiscard]] std::optional<close_note> peer_close_note() const override { return below_->peer_close_note(); }
  bool ask_for_life() noexcept override { return below_->ask_for_life(); }
  [[nodiscard]] stream_health health() const noexcept override { return below_->health(); }

 protected:
  explicit stream_above(std::shared_ptr<stream> below) : below_(std::move(below)) {}
  ~stream_above() override = default;  // who is made of it closes in its own

  /// Once, before anything else of the stream below.
  void attach_below() { below_->attach(*this, shared_from_this()); }
  [[nodiscard]] stream& below() const noexcept { return *below_; }

  // stream_events of the stream below
  void on_read(result<std::size_t> outcome) override {
    if (events_ == nullptr) return;
    const auto self = shared_from_this();
    const auto keep = owner_;
    events_->on_read(std::move(outcome));
  }
  void on_writable() override {
    if (events_ == nullptr) return;
    const auto self = shared_from_this();
    const auto keep = owner_;
    events_->on_writable();
  }

 private:
  std::shared_ptr<stream> below_;
  stream_events* events_ = nullptr;
  std::shared_ptr<void> owner_;
};

}  // namespace ferry::net

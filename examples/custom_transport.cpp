// A scheme of your own: tap:///PATH is a Unix socket that tells what it carried when it closes. Everything above comes
// by itself: framing, queues, reconnecting, options in the URL, the blocking API.
//
//   custom_transport listen tap:///tmp/echo.sock
//   custom_transport connect tap:///tmp/echo.sock TEXT
#include <ferry/blocking.hpp>
#include <ferry/context.hpp>
#include <ferry/url.hpp>

#include <iostream>
#include <string>

namespace {

/// A stream that counts, and leaves the work to another one.
class tapped_stream final : public ferry::stream, private ferry::stream_events {
 public:
  explicit tapped_stream(std::shared_ptr<ferry::stream> below) : below_(std::move(below)) {}
  ~tapped_stream() override { close(); }

  void attach(ferry::stream_events& events, std::shared_ptr<void> owner) override {
    events_ = &events;
    below_->attach(*this, std::move(owner));
  }
  ferry::result<std::size_t> try_read(ferry::mutable_bytes into) noexcept override {
    auto n = below_->try_read(into);
    if (n) read_ += *n;
    return n;
  }
  ferry::result<std::size_t> try_write(std::span<const ferry::bytes> from) noexcept override {
    auto n = below_->try_write(from);
    if (n) written_ += *n;
    return n;
  }
  void async_read(ferry::mutable_bytes into) override { below_->async_read(into); }
  void async_wait_writable() override { below_->async_wait_writable(); }
  ferry::result<void> shutdown_write() override { return below_->shutdown_write(); }
  ferry::result<void> shutdown_read() override { return below_->shutdown_read(); }
  std::size_t unread() const noexcept override { return below_->unread(); }
  void close() noexcept override {
    if (!events_) return;
    events_ = nullptr;
    std::cerr << "tap: " << read_ << " bytes in, " << written_ << " bytes out\n";
    below_->close();
  }
  ferry::peer_info peer() const override { return below_->peer(); }

 private:
  void on_read(ferry::result<std::size_t> outcome) override {
    if (outcome) read_ += *outcome;
    events_->on_read(std::move(outcome));
  }
  void on_writable() override { events_->on_writable(); }

  std::shared_ptr<ferry::stream> below_;
  ferry::stream_events* events_ = nullptr;
  std::size_t read_ = 0;
  std::size_t written_ = 0;
};

class tapped_acceptor final : public ferry::acceptor {
 public:
  tapped_acceptor(std::unique_ptr<ferry::acceptor> below, std::string url)
      : below_(std::move(below)), url_(std::move(url)) {}
  ferry::result<std::shared_ptr<ferry::stream>> try_accept() override {
    auto arrived = below_->try_accept();
    if (arrived) *arrived = std::make_shared<tapped_stream>(std::move(*arrived));
    return arrived;
  }
  void async_wait(std::function<void()> ready) override { below_->async_wait(std::move(ready)); }
  void close() noexcept override { below_->close(); }
  std::string local_url() const override { return url_; }

 private:
  std::unique_ptr<ferry::acceptor> below_;
  std::string url_;
};

class tap_transport final : public ferry::stream_transport {
 public:
  explicit tap_transport(std::shared_ptr<ferry::stream_transport> below) : below_(std::move(below)) {}

  ferry::result<std::unique_ptr<ferry::acceptor>> listen(ferry::context& where, const ferry::endpoint& at,
                                                         const ferry::options& with) override {
    auto arrivals = below_->listen(where, at, with);
    if (!arrivals) return arrivals;
    return std::unique_ptr<ferry::acceptor>(std::make_unique<tapped_acceptor>(std::move(*arrivals), at.text()));
  }
  std::unique_ptr<ferry::connect_attempt> connect(ferry::context& where, const ferry::endpoint& to,
                                                  const ferry::options& with, connect_handler done) override {
    return below_->connect(where, to, with, [done = std::move(done)](auto outcome) {
      if (outcome) *outcome = std::make_shared<tapped_stream>(std::move(*outcome));
      done(std::move(outcome));
    });
  }

 private:
  std::shared_ptr<ferry::stream_transport> below_;
};

}  // namespace

int main(int argc, char** argv) try {
  const std::string how = argc > 2 ? argv[1] : "";
  ferry::runner runner;
  runner.run([&runner] {
    ferry::context& where = runner.where();
    where.register_transport("tap", std::make_shared<tap_transport>(where.transport("ipc")));
  });
  if (how == "listen") {
    auto arrivals = ferry::listen(argv[2], {}, &runner);
    std::cout << "listening on " << arrivals.url() << std::endl;
    auto peer = arrivals.accept();
    while (auto message = peer.receive()) peer.send(message->payload());
    return 0;
  }
  if (how == "connect" && argc > 3) {
    auto link = ferry::connect(argv[2], {}, &runner);
    link.send(argv[3]);
    std::cout << link.receive()->text() << std::endl;
    return 0;
  }
  std::cerr << "usage: custom_transport listen URL | custom_transport connect URL TEXT\n";
  return 2;
} catch (const ferry::failure& e) {
  std::cerr << e.what() << '\n';
  return 1;
}

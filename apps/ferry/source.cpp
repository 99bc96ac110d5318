#include "apps/ferry/source.hpp"

#include <algorithm>
#include <utility>

namespace ferry::app {
namespace {

class text_source final : public source {
 public:
  explicit text_source(std::vector<std::string> texts) : texts_(std::move(texts)) {
    for (const auto& text : texts_) in_all_ += text.size();
  }
  result<offer> next() override {
    if (next_ == texts_.size()) return offer{};
    const auto& text = texts_[next_++];
    done_ += text.size();
    return offer{offer::state::message, {as_bytes(text), message_kind::text, 0}};
  }
  void async_wait(std::function<void()>) override {}
  std::uint64_t bytes_done() const noexcept override { return done_; }
  std::uint64_t bytes_in_all() const noexcept override { return in_all_; }

 private:
  std::vector<std::string> texts_;
  std::size_t next_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t in_all_ = 0;
};

class generated_source final : public source {
 public:
  generated_source(std::uint64_t count, std::size_t size) : count_(count), text_(size, '.') {
    for (std::size_t i = 0; i < size; ++i) text_[i] = static_cast<char>('a' + i % 26);
  }
  result<offer> next() override {
    if (next_ == count_) return offer{};
    // As many of the number's last digits as there is room for.
    auto number = next_++;
    for (auto digit = std::min<std::size_t>(text_.size(), k_digits); digit-- > 0; number /= 10) {
      text_[digit] = static_cast<char>('0' + number % 10);
    }
    return offer{offer::state::message, {as_bytes(text_), message_kind::text, 0}};
  }
  void async_wait(std::function<void()>) override {}
  std::uint64_t bytes_done() const noexcept override { return next_ * text_.size(); }
  std::uint64_t bytes_in_all() const noexcept override { return count_ * text_.size(); }

 private:
  static constexpr std::size_t k_digits = 12;
  std::uint64_t count_;
  std::uint64_t next_ = 0;
  std::string text_;
};

class input_source final : public source {
 public:
  input_source(std::unique_ptr<input> from, split_rule rule, std::size_t max_message)
      : from_(std::move(from)),
        cutter_(rule, max_message),
        kind_(rule.how == split_rule::kind::lines ? message_kind::text : message_kind::binary) {}

  result<offer> next() override {
    for (;;) {
      const auto message = cutter_.next();
      if (!message) return message.error().in(from_->name());
      if (*message) return offer{offer::state::message, {**message, kind_, 0}};
      if (cutter_.done()) return offer{};
      const auto n = from_->try_read(cutter_.room());
      if (n) {
        cutter_.filled(*n);
        done_ += *n;
      } else if (n.error() == errc::end_of_stream) {
        cutter_.finish();
      } else if (n.error() == errc::would_block) {
        return offer{offer::state::wait, {}};
      } else {
        return n.error();
      }
    }
  }
  void async_wait(std::function<void()> ready) override { from_->async_wait(std::move(ready)); }
  std::uint64_t bytes_done() const noexcept override { return done_; }
  std::uint64_t bytes_in_all() const noexcept override { return from_->size().value_or(0); }

 private:
  std::unique_ptr<input> from_;
  cutter cutter_;
  message_kind kind_;
  std::uint64_t done_ = 0;
};

class chain final : public source {
 public:
  explicit chain(std::vector<std::unique_ptr<source>> parts) : parts_(std::move(parts)) {}

  result<offer> next() override {
    for (; at_ < parts_.size(); ++at_) {
      auto offered = parts_[at_]->next();
      if (!offered || offered->what != offer::state::end) return offered;
    }
    return offer{};
  }
  void async_wait(std::function<void()> ready) override { parts_[at_]->async_wait(std::move(ready)); }
  std::uint64_t bytes_done() const noexcept override {
    std::uint64_t sum = 0;
    for (const auto& part : parts_) sum += part->bytes_done();
    return sum;
  }
  std::uint64_t bytes_in_all() const noexcept override {
    std::uint64_t sum = 0;
    for (const auto& part : parts_) {
      if (part->bytes_in_all() == 0) return 0;
      sum += part->bytes_in_all();
    }
    return sum;
  }

 private:
  std::vector<std::unique_ptr<source>> parts_;
  std::size_t at_ = 0;
};

}  // namespace

std::unique_ptr<source> make_text_source(std::vector<std::string> texts) {
  return std::make_unique<text_source>(std::move(texts));
}

std::unique_ptr<source> make_generated_source(std::uint64_t count, std::size_t size) {
  return std::make_unique<generated_source>(count, size);
}

std::unique_ptr<source> make_input_source(std::unique_ptr<input> from, split_rule rule, std::size_t max_message) {
  return std::make_unique<input_source>(std::move(from), rule, max_message);
}

std::unique_ptr<source> make_chain(std::vector<std::unique_ptr<source>> parts) {
  return std::make_unique<chain>(std::move(parts));
}

}  // namespace ferry::app

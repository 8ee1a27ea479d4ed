-- Copyright: (c) 2026, hgx.inference contributors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- Reads the token counts that the server puts at the end of its answer, for the log. It forwards every byte unchanged, at once.
-- The last "usage" counts: an answer may hold the word, too, but the server writes its own after the answer. Within a text its
-- quotes are escaped, so that it does not match there. An answer without one has no counts.

local KEPT = 4096

local Usage = { id = "usage", flags = filter.FLT_CFG_FL_HTX }
Usage.__index = Usage

function Usage:new()
  return setmetatable({ tail = "" }, Usage)
end

function Usage:start_analyze(txn, channel)
  if channel:is_resp() then
    filter.register_data_filter(self, channel)
  end
end

function Usage:http_payload(txn, message)
  local data = message:body()
  if data then
    self.tail = #data >= KEPT and data:sub(-KEPT) or (self.tail .. data):sub(-KEPT)
  end
end

local function count(usage, ...)
  local sum = nil
  for _, name in ipairs({ ... }) do
    local found = usage:match('"' .. name .. '"%s*:%s*(%d+)')
    if found then
      sum = (sum or 0) + tonumber(found)
    end
  end
  return sum
end

function Usage:http_end(txn, message)
  if not message.channel:is_resp() then
    return
  end
  local usage = self.tail:match('^.*"usage"%s*:%s*({.*)$')
  if usage then
    -- OpenAI's names, or those of Anthropic, whose input leaves out what was cached.
    local input = count(usage, "prompt_tokens")
      or count(usage, "input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    local output = count(usage, "completion_tokens") or count(usage, "output_tokens")
    if input and output then
      txn:set_var("txn.tokens_in", input)
      txn:set_var("txn.tokens_out", output)
    end
  end
end

core.register_filter("usage", Usage, function(self)
  return self
end)

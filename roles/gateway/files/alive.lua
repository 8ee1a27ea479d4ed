-- Copyright: (c) 2026, hgx.inference contributors
-- GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- A token may take long behind long prompts, so the check for one is patient. A stopped or hanging process is told by
-- /health within seconds: the backend `alive` checks that, and this takes a server that fails it out of `vllm`, too.
-- Only the check for a token brings it back.

core.register_task(function()
  while true do
    core.sleep(1)
    for name, alive in pairs(core.backends.alive.servers) do
      local server = core.backends.vllm.servers[name]
      if server and alive:get_stats().status == "DOWN" and server:get_stats().status:sub(1, 2) == "UP" then
        server:check_force_down()
      end
    end
  end
end)

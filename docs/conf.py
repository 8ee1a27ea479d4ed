# Copyright: (c) 2026, hgx.inference contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Settings of Sphinx. The site needs no network, neither to be built nor to be read."""

from __future__ import annotations

project = "hgx.inference"
author = "hgx.inference contributors"
copyright = "2026, hgx.inference contributors"  # Sphinx wants this name

extensions = ["myst_parser", "sphinx_antsibull_ext"]
exclude_patterns = ["generated", "*.txt"]
nitpick_ignore_regex = [(".*envvar", "ANSIBLE_.*")]  # Ansible's own
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
pygments_style = "ansible"

html_theme = "furo"
html_title = "hgx.inference"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#4a6b00", "color-brand-content": "#3d5c00"},
    "dark_css_variables": {"color-brand-primary": "#9ecb3c", "color-brand-content": "#9ecb3c"},
}
html_static_path = ["static"]
html_css_files = ["tables.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False

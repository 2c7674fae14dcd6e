//! Plans, diagnostics and graphs as text, JSON, Markdown, HTML, DOT, Mermaid, SVG.

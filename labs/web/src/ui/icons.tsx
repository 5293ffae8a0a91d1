// Pictures beside words; they say nothing that the words do not, so readers of screens pass them over.
import type { ComponentChildren } from "preact";

function Icon({ children }: { children: ComponentChildren }) {
  return (
    <svg class="icon" viewBox="0 0 20 20" width="20" height="20" fill="none" stroke="currentColor" stroke-width="1.7"
      stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">
      {children}
    </svg>
  );
}

export const PlayIcon = () => <Icon><path d="M6.5 4.5v11l9-5.5z" fill="currentColor" stroke="none" /></Icon>;
export const CopyIcon = () => <Icon><rect x="7.5" y="7.5" width="8.5" height="8.5" rx="2" /><path d="M12.5 4.5H6a1.5 1.5 0 0 0-1.5 1.5v6.5" /></Icon>;
export const CheckIcon = () => <Icon><path d="M4.5 10.5l3.5 3.5 7.5-8" stroke-width="2.2" /></Icon>;
export const CrossIcon = () => <Icon><path d="M5.5 5.5l9 9m0-9l-9 9" /></Icon>;
export const PlusIcon = () => <Icon><path d="M10 4.5v11M4.5 10h11" /></Icon>;
export const SplitIcon = () => <Icon><rect x="3.5" y="4.5" width="13" height="11" rx="2" /><path d="M10 4.5v11" /></Icon>;
export const OneIcon = () => <Icon><rect x="3.5" y="4.5" width="13" height="11" rx="2" /></Icon>;
export const PasteIcon = () => <Icon><path d="M7 5H5.5v11h9V5H13M7.5 3.5h5v3h-5z" /></Icon>;
export const LinkIcon = () => <Icon><path d="M11.5 4.5h4v4M15.5 4.5l-6.5 6.5M8.5 5.5h-3a1 1 0 0 0-1 1v8a1 1 0 0 0 1 1h8a1 1 0 0 0 1-1v-3" /></Icon>;
export const GearIcon = () => <Icon><path d="M4 6h6m4 0h2M4 14h2m4 0h6" /><circle cx="12" cy="6" r="1.9" /><circle cx="8" cy="14" r="1.9" /></Icon>;
export const BulbIcon = () => <Icon><path d="M7.5 13.5a5 5 0 1 1 5 0v1.2h-5zM8.3 17.3h3.4" /></Icon>;
export const BackIcon = () => <Icon><path d="M11.5 4.5L6 10l5.5 5.5" /></Icon>;
export const NextIcon = () => <Icon><path d="M4.5 10h11M11 5.5l4.5 4.5-4.5 4.5" /></Icon>;
export const ClockIcon = () => <Icon><circle cx="10" cy="10" r="6.5" /><path d="M10 6.5V10l2.5 1.8" /></Icon>;
export const UploadIcon = () => <Icon><path d="M10 13V4.5M6.5 8L10 4.5 13.5 8M4.5 15.5h11" /></Icon>;
export const BinIcon = () => <Icon><path d="M4.5 6h11M8 6V4.5h4V6M6 6l.6 9.5h6.8L14 6" /></Icon>;
export const TerminalIcon = () => <Icon><rect x="3" y="4" width="14" height="12" rx="2" /><path d="M6 8l2.5 2L6 12M10.5 12.5H14" /></Icon>;
export const ListIcon = () => <Icon><path d="M4.5 5.5h11M4.5 10h11M4.5 14.5h7" /></Icon>;
export const ResetIcon = () => <Icon><path d="M5 9a5.5 5.5 0 1 1 .6 4.2M4.5 5v4h4" /></Icon>;

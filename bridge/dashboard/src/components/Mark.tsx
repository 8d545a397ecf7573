/** The logo: a holdfast, the root with which seaweed grips the rock. */
export function Mark({ size = 26 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden focusable="false">
      <rect width="32" height="32" rx="9" fill="var(--hf-accent)" />
      <path
        d="M16 6v10M16 16c0 5-6 4-6 10M16 16c0 5 6 4 6 10M16 16v10M11 10.5h10"
        fill="none"
        stroke="var(--hf-page)"
        strokeWidth="2.4"
        strokeLinecap="round"
      />
    </svg>
  );
}

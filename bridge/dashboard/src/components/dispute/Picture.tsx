import { useCallback } from 'react';

interface Props {
  bytes: Blob;
  alt: string;
  className?: string;
}

/** A picture that was fetched with the token, and so has no address of its own. */
export function Picture({ bytes, alt, className }: Props) {
  const show = useCallback(
    (image: HTMLImageElement) => {
      image.src = URL.createObjectURL(bytes);
      return () => URL.revokeObjectURL(image.src);
    },
    [bytes],
  );
  return <img ref={show} alt={alt} className={className} />;
}

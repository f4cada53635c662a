;; Separable resampling of RGB bytes: first `horizontal`, then `vertical`, each a weighted sum of `taps` neighbours that is
;; rounded to a byte. To the bit what Pillow computes, whose weights are integers of 22 bits: i32x4.dot_i16x8_s adds two
;; weighted neighbours at once but takes 16 bits, so a weight is two numbers, high * 2048 + low, each with a sum of its own.
;; Addresses are bytes of the memory. Reads and writes run over the end of a row by up to 32 bytes.
;; Bytes are put in place by swizzle and constants: engines build the mask of a general shuffle anew at each turn.

(module
  (memory (export "memory") 16)

  ;; One pixel after the other, of two rows at once; four source pixels (12 of the 16 bytes read) are two pairs.
  ;; $pairs: of rows; where the rows are odd in number, one more is read and written behind the last.
  ;; $table: for each output column the first source pixel's byte (i32), then for four taps each the high parts (four i16) and
  ;; the low parts. $bias: four i32 that the low sums of red, green, blue and nothing begin with: a half to round, and what the
  ;; decoder owes.
  (func (export "horizontal")
    (param $source i32) (param $stride i32)
    (param $table i32) (param $entry i32) (param $columns i32) (param $pairs i32)
    (param $target i32) (param $targetStride i32) (param $bias i32)
    (local $column i32) (local $weight i32) (local $weights i32) (local $at i32) (local $under i32)
    (local $pixels v128) (local $pair v128) (local $high0 v128) (local $high1 v128) (local $low0 v128) (local $low1 v128)
    (local $begin v128) (local $first v128) (local $second v128) (local $zero v128)
    (local $upperHigh v128) (local $upperLow v128) (local $lowerHigh v128) (local $lowerLow v128)
    local.get $bias  v128.load  local.set $begin
    v128.const 0 255 3 255 1 255 4 255 2 255 5 255 255 255 255 255  local.set $first
    v128.const 6 255 9 255 7 255 10 255 8 255 11 255 255 255 255 255  local.set $second
    loop $rows
      local.get $table  local.set $weight
      local.get $columns  local.set $column
      loop $pixel
        local.get $weight  i32.load  local.get $source  i32.add  local.tee $at
        local.get $stride  i32.add  local.set $under
        local.get $weight  local.get $entry  i32.add  local.set $weights
        local.get $weight  i32.const 4  i32.add  local.set $weight
        local.get $begin  local.tee $upperLow  local.set $lowerLow
        local.get $zero  local.tee $upperHigh  local.set $lowerHigh
        loop $tap
          local.get $weight  v128.load32_splat  local.set $high0
          local.get $weight  v128.load32_splat offset=4  local.set $high1
          local.get $weight  v128.load32_splat offset=8  local.set $low0
          local.get $weight  v128.load32_splat offset=12  local.set $low1
          local.get $at  v128.load  local.tee $pixels  local.get $first  i8x16.swizzle  local.tee $pair
          local.get $high0  i32x4.dot_i16x8_s  local.get $upperHigh  i32x4.add  local.set $upperHigh
          local.get $pair  local.get $low0  i32x4.dot_i16x8_s  local.get $upperLow  i32x4.add  local.set $upperLow
          local.get $pixels  local.get $second  i8x16.swizzle  local.tee $pair
          local.get $high1  i32x4.dot_i16x8_s  local.get $upperHigh  i32x4.add  local.set $upperHigh
          local.get $pair  local.get $low1  i32x4.dot_i16x8_s  local.get $upperLow  i32x4.add  local.set $upperLow
          local.get $under  v128.load  local.tee $pixels  local.get $first  i8x16.swizzle  local.tee $pair
          local.get $high0  i32x4.dot_i16x8_s  local.get $lowerHigh  i32x4.add  local.set $lowerHigh
          local.get $pair  local.get $low0  i32x4.dot_i16x8_s  local.get $lowerLow  i32x4.add  local.set $lowerLow
          local.get $pixels  local.get $second  i8x16.swizzle  local.tee $pair
          local.get $high1  i32x4.dot_i16x8_s  local.get $lowerHigh  i32x4.add  local.set $lowerHigh
          local.get $pair  local.get $low1  i32x4.dot_i16x8_s  local.get $lowerLow  i32x4.add  local.set $lowerLow
          local.get $at  i32.const 12  i32.add  local.set $at
          local.get $under  i32.const 12  i32.add  local.set $under
          local.get $weight  i32.const 16  i32.add  local.tee $weight
          local.get $weights  i32.lt_u  br_if $tap
        end
        local.get $upperHigh  i32.const 11  i32x4.shl  local.get $upperLow  i32x4.add  i32.const 22  i32x4.shr_s
        local.get $lowerHigh  i32.const 11  i32x4.shl  local.get $lowerLow  i32x4.add  i32.const 22  i32x4.shr_s
        i16x8.narrow_i32x4_s  local.tee $pixels  local.get $pixels  i8x16.narrow_i16x8_u  local.set $pixels
        ;; Below, four bytes for three: the fourth is written over by the next pixel. Above, it would hit the row below, which is there already.
        local.get $target  local.get $pixels  v128.store16_lane 0
        local.get $target  local.get $pixels  v128.store8_lane offset=2 2
        local.get $target  local.get $targetStride  i32.add  local.get $pixels  i32x4.extract_lane 1  i32.store
        local.get $target  i32.const 3  i32.add  local.set $target
        local.get $column  i32.const 1  i32.sub  local.tee $column  br_if $pixel
      end
      local.get $source  local.get $stride  i32.const 2  i32.mul  i32.add  local.set $source
      local.get $target  local.get $targetStride  i32.const 2  i32.mul  i32.add
      local.get $columns  i32.const 3  i32.mul  i32.sub  local.set $target
      local.get $pairs  i32.const 1  i32.sub  local.tee $pairs  br_if $rows
    end)

  ;; One output row after the other: sums whole source rows, 16 bytes at a time, whatever their pixels are.
  ;; $table: for each output row the first source row (i32), then for two taps each the high parts (two i16) and the low parts.
  (func (export "vertical")
    (param $source i32) (param $stride i32) (param $bytes i32)
    (param $table i32) (param $entry i32) (param $rows i32)
    (param $target i32) (param $targetStride i32)
    (local $x i32) (local $weight i32) (local $weights i32) (local $at i32)
    (local $a v128) (local $b v128) (local $half v128) (local $pair v128) (local $high v128) (local $low v128) (local $zero v128)
    (local $h0 v128) (local $h1 v128) (local $h2 v128) (local $h3 v128)
    (local $l0 v128) (local $l1 v128) (local $l2 v128) (local $l3 v128)
    loop $row
      local.get $table  local.get $entry  i32.add  local.set $weights
      i32.const 0  local.set $x
      loop $column
        local.get $table  i32.load  local.get $stride  i32.mul
        local.get $source  i32.add  local.get $x  i32.add  local.set $at
        local.get $table  i32.const 4  i32.add  local.set $weight
        local.get $zero  local.tee $h0  local.tee $h1  local.tee $h2  local.set $h3
        i32.const 2097152  i32x4.splat  local.tee $l0  local.tee $l1  local.tee $l2  local.set $l3
        loop $tap
          local.get $weight  v128.load32_splat  local.set $high
          local.get $weight  v128.load32_splat offset=4  local.set $low
          local.get $at  v128.load  local.set $a
          local.get $at  local.get $stride  i32.add  local.tee $at  v128.load  local.set $b
          local.get $at  local.get $stride  i32.add  local.set $at
          local.get $a  local.get $b  i8x16.shuffle 0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23  local.tee $half
          i16x8.extend_low_i8x16_u  local.tee $pair  local.get $high  i32x4.dot_i16x8_s  local.get $h0  i32x4.add  local.set $h0
          local.get $pair  local.get $low  i32x4.dot_i16x8_s  local.get $l0  i32x4.add  local.set $l0
          local.get $half  i16x8.extend_high_i8x16_u  local.tee $pair  local.get $high  i32x4.dot_i16x8_s  local.get $h1  i32x4.add  local.set $h1
          local.get $pair  local.get $low  i32x4.dot_i16x8_s  local.get $l1  i32x4.add  local.set $l1
          local.get $a  local.get $b  i8x16.shuffle 8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31  local.tee $half
          i16x8.extend_low_i8x16_u  local.tee $pair  local.get $high  i32x4.dot_i16x8_s  local.get $h2  i32x4.add  local.set $h2
          local.get $pair  local.get $low  i32x4.dot_i16x8_s  local.get $l2  i32x4.add  local.set $l2
          local.get $half  i16x8.extend_high_i8x16_u  local.tee $pair  local.get $high  i32x4.dot_i16x8_s  local.get $h3  i32x4.add  local.set $h3
          local.get $pair  local.get $low  i32x4.dot_i16x8_s  local.get $l3  i32x4.add  local.set $l3
          local.get $weight  i32.const 8  i32.add  local.tee $weight
          local.get $weights  i32.lt_u  br_if $tap
        end
        local.get $target  local.get $x  i32.add
        local.get $h0  i32.const 11  i32x4.shl  local.get $l0  i32x4.add  i32.const 22  i32x4.shr_s
        local.get $h1  i32.const 11  i32x4.shl  local.get $l1  i32x4.add  i32.const 22  i32x4.shr_s  i16x8.narrow_i32x4_s
        local.get $h2  i32.const 11  i32x4.shl  local.get $l2  i32x4.add  i32.const 22  i32x4.shr_s
        local.get $h3  i32.const 11  i32x4.shl  local.get $l3  i32x4.add  i32.const 22  i32x4.shr_s  i16x8.narrow_i32x4_s
        i8x16.narrow_i16x8_u  v128.store
        local.get $x  i32.const 16  i32.add  local.tee $x
        local.get $bytes  i32.lt_u  br_if $column
      end
      local.get $target  local.get $targetStride  i32.add  local.set $target
      local.get $weights  local.set $table
      local.get $rows  i32.const 1  i32.sub  local.tee $rows  br_if $row
    end))
